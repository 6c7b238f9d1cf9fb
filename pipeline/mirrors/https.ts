import { v } from '../schema.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import { mirrorFields, url } from './fields.ts';
import { defineMirrorKind, joinUrl } from './mirror.ts';

/** A server with one address for each file. */
export const https = defineMirrorKind({
  provider: 'https',
  schema: v.strictObject({ provider: v.literal('https'), ...mirrorFields, base: url }),
  create: (name, entry, context) => ({
    locate: async ({ location: { path, link }, shape }) => {
      const address = link ?? (path === undefined ? undefined : joinUrl(entry.base, path));
      if (address === undefined)
        throw new MirrorFault('unsupported', 'a plain server needs a path or a link');
      return await Promise.resolve({
        identity: `${name} ${link ?? path ?? ''}`,
        description: redactUrl(address),
        shape,
        maxConnections: entry.max_connections ?? 1,
        open: ({ headers, signal }) =>
          context.client.request({ url: address, headers, signal, allowHttp: entry.allow_http }),
      });
    },
  }),
});
