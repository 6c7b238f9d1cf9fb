import type { Mirror } from '../manifest/load.ts';
import { createBaidu } from './baidu.ts';
import { createCloudStorage } from './gcs.ts';
import { createDropbox } from './dropbox.ts';
import { createGoogleDrive } from './google-drive.ts';
import { createHuggingFace } from './huggingface.ts';
import type { LocateContext, MirrorProvider } from './mirror.ts';
import { createPlainHttps } from './https.ts';

/** The provider behind a mirror of the manifest. */
export function createMirror(name: string, mirror: Mirror, context: LocateContext): MirrorProvider {
  const common = {
    name,
    base: mirror.base,
    allowHttp: mirror.allow_http,
    maxConnections: mirror.max_connections,
  };
  switch (mirror.provider) {
    case 'https':
      return createPlainHttps({ ...common, base: mirror.base }, context);
    case 'google-drive': {
      const { folder, resource_key, api_base } = mirror;
      return createGoogleDrive({ ...common, folder, resourceKey: resource_key, apiBase: api_base }, context);
    }
    case 'baidu':
      return createBaidu({ ...common, share: mirror.share, code: mirror.code }, context);
    case 'dropbox':
      return createDropbox(common, context);
    case 'gcs':
      return createCloudStorage({ ...common, bucket: mirror.bucket }, context);
    case 'huggingface':
      return createHuggingFace(
        { ...common, repository: mirror.repository, revision: mirror.revision },
        context,
      );
  }
}
