import { v } from '../schema.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import { mirrorFields } from './fields.ts';
import { defineMirrorKind, joinUrl } from './mirror.ts';

const objectSchema = v.object({
  size: v.pipe(v.string(), v.regex(/^\d+$/)),
  generation: v.string(),
  md5Hash: v.optional(v.string()),
  contentEncoding: v.optional(v.string()),
});

const HOME = 'https://storage.googleapis.com/';

/** A public bucket of Google Cloud Storage. Its metadata give size, md5 (not for composite objects) and generation. */
export const gcs = defineMirrorKind({
  provider: 'gcs',
  home: HOME,
  schema: v.strictObject({ provider: v.literal('gcs'), ...mirrorFields, bucket: v.string() }),
  create(name, { bucket, base = HOME, ...entry }, { client, signal }) {
    const allowHttp = entry.allow_http;
    return {
      locate: async ({ location: { path }, shape }) => {
        if (path === undefined) throw new MirrorFault('unsupported', 'Cloud Storage needs a path');
        const page = await client.readPage({
          url: `${joinUrl(base, `storage/v1/b/${bucket}/o`)}/${encodeURIComponent(path)}`,
          signal,
          allowHttp,
        });
        if (page.status !== 200)
          throw explainStorageError(page.text, page.status) ?? faultOfStatus(page.status, page.headers);
        const object = parseObject(page.text);
        // Pinned: a new upload under the same name is another generation.
        const url = new URL(joinUrl(base, `${bucket}/${path}`));
        url.searchParams.set('generation', object.generation);
        return {
          identity: `${name} ${path} ${object.generation}`,
          description: redactUrl(url),
          shape,
          sizeBytes: Number(object.size),
          md5: object.md5Hash && Buffer.from(object.md5Hash, 'base64').toString('hex'),
          maxConnections: entry.max_connections ?? 4,
          open: request =>
            client.request({ url: url.href, headers: request.headers, signal: request.signal, allowHttp }),
          explainPage: explainStorageError,
        };
      },
    };
  },
});

function parseObject(text: string): v.InferOutput<typeof objectSchema> {
  let object: v.InferOutput<typeof objectSchema>;
  try {
    object = v.parse(objectSchema, JSON.parse(text));
  } catch (cause) {
    throw new MirrorFault('not-the-file', 'Cloud Storage describes the object unexpectedly', { cause });
  }
  const encoding = object.contentEncoding ?? '';
  if (encoding === '') return object;
  throw new MirrorFault('unsupported', `the object is stored with ${encoding}: its bytes would differ`);
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
