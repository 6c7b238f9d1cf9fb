import { v } from '../schema.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { joinUrl } from './mirror.ts';
import type { LocateContext, LocateRequest, MirrorProvider } from './mirror.ts';

export interface CloudStorageOptions {
  readonly name: string;
  readonly bucket: string;
  readonly base?: string | undefined;
  readonly allowHttp?: boolean | undefined;
  readonly maxConnections?: number | undefined;
}

const objectSchema = v.object({
  size: v.pipe(v.string(), v.regex(/^\d+$/)),
  generation: v.string(),
  md5Hash: v.optional(v.string()),
  contentEncoding: v.optional(v.string()),
});

/** A public bucket of Google Cloud Storage. Its metadata give size, md5 (not for composite objects) and generation. */
export function createCloudStorage(options: CloudStorageOptions, context: LocateContext): MirrorProvider {
  const base = options.base ?? 'https://storage.googleapis.com/';
  const locate = async ({ place, shape }: LocateRequest): Promise<RemoteFile> => {
    if (place.path === undefined) throw new MirrorFault('unsupported', 'Cloud Storage needs a path');
    const page = await context.client.readPage({
      url: joinUrl(base, `storage/v1/b/${options.bucket}/o`) + `/${encodeURIComponent(place.path)}`,
      signal: context.signal,
      allowHttp: options.allowHttp,
    });
    if (page.status !== 200)
      throw explainStorageError(page.text, page.status) ?? faultOfStatus(page.status, page.headers);
    const object = parseObject(page.text);
    if (object.contentEncoding !== undefined && object.contentEncoding !== '') {
      throw new MirrorFault(
        'unsupported',
        `the object is stored with ${object.contentEncoding}: its bytes would differ`,
      );
    }
    // Pinned: a new upload under the same name is another generation.
    const url = new URL(joinUrl(base, `${options.bucket}/${place.path}`));
    url.searchParams.set('generation', object.generation);
    return {
      identity: `${options.name} ${place.path} ${object.generation}`,
      place: redactUrl(url),
      shape,
      sizeBytes: Number(object.size),
      md5: object.md5Hash === undefined ? undefined : Buffer.from(object.md5Hash, 'base64').toString('hex'),
      maxConnections: options.maxConnections ?? 4,
      open: ({ headers, signal }) =>
        context.client.request({ url: url.href, headers, signal, allowHttp: options.allowHttp }),
      explainPage: explainStorageError,
    };
  };
  return { locate };
}

function parseObject(text: string): v.InferOutput<typeof objectSchema> {
  try {
    return v.parse(objectSchema, JSON.parse(text));
  } catch (cause) {
    throw new MirrorFault('not-the-file', 'Cloud Storage describes the object unexpectedly', { cause });
  }
}

/** Both forms of error: XML from the object, JSON from the metadata. */
export function explainStorageError(text: string, status: number): MirrorFault | undefined {
  const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? /"reason":\s*"(\w+)"/.exec(text)?.[1];
  if (code === undefined) return undefined;
  if (/NoSuch(Key|Bucket)|notFound/.test(code))
    return new MirrorFault('gone', `Cloud Storage answers ${code}`);
  if (status >= 500 || status === 429) return undefined;
  return new MirrorFault('forbidden', `Cloud Storage answers ${code}`);
}
