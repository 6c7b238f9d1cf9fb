import { v } from '../schema.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { type DriveApi, findWithKey, openWithKey } from './drive-api.ts';
import { DRIVE_HOME, DriveSite } from './drive-site.ts';
import { mirrorFields, url } from './fields.ts';
import { defineMirrorKind, type FileLocation } from './mirror.ts';
import { maySendSecret } from './secrets.ts';

const API = 'https://www.googleapis.com/';

/** A shared folder of Google Drive, by path, or single files by id; without a key through the pages people see. */
export const googleDrive = defineMirrorKind({
  provider: 'google-drive',
  home: DRIVE_HOME,
  schema: v.strictObject({
    provider: v.literal('google-drive'),
    ...mirrorFields,
    folder: v.optional(v.string()),
    resource_key: v.optional(v.string()),
    api_base: v.optional(url),
  }),
  checkSource: (name, { folder }, { path }) =>
    path !== undefined && folder === undefined
      ? { field: 'path', problem: `mirror "${name}" has no folder, so an "id" is needed` }
      : undefined,
  create(name, entry, context) {
    const { client, signal, givenBase } = context;
    const { folder, allow_http: allowHttp } = entry;
    const root = folder === undefined ? undefined : { id: folder, resourceKey: entry.resource_key };
    const site = new DriveSite({ base: entry.base, root, client, signal, allowHttp });
    // Both the pages and the API are asked for at an address that the user gives.
    const base = givenBase ?? entry.api_base ?? API;
    const key = context.environment['GOOGLE_API_KEY'] ?? '';
    const mayUseKey = key !== '' && maySendSecret(base, { own: ['googleapis.com'], given: givenBase });
    const api: DriveApi | undefined = mayUseKey ? { base, key, client, allowHttp, signal } : undefined;

    const find = async (
      location: FileLocation,
    ): Promise<Pick<RemoteFile, 'open' | 'sizeBytes' | 'md5'> & { id: string }> => {
      if (api === undefined) {
        const file = await site.resolve(location);
        return { id: file.id, open: site.opener(file) };
      }
      const file = await findWithKey(api, root, location);
      return { ...file, open: request => openWithKey(api, file, request) };
    };
    return {
      locate: async ({ location, shape }) => {
        const { id, sizeBytes, md5, open } = await find(location);
        return {
          identity: `${name} ${location.id ?? location.path ?? ''}`,
          description: `Google Drive file ${id}`,
          shape,
          sizeBytes,
          md5,
          maxConnections: 1,
          open,
        };
      },
    };
  },
});
