import { MirrorFault } from '../net/mirror-fault.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { redactUrl } from '../net/redact-url.ts';
import { joinUrl } from './mirror.ts';
import type { LocateContext, LocateRequest, MirrorProvider } from './mirror.ts';

export interface PlainHttpsOptions {
  readonly name: string;
  readonly base: string;
  readonly allowHttp?: boolean | undefined;
  readonly maxConnections?: number | undefined;
}

/** A server with one address a file. */
export function createPlainHttps(options: PlainHttpsOptions, context: LocateContext): MirrorProvider {
  const locate = ({ place, shape }: LocateRequest): RemoteFile => {
    const url = place.link ?? (place.path === undefined ? undefined : joinUrl(options.base, place.path));
    if (url === undefined) throw new MirrorFault('unsupported', 'a plain server needs a path or a link');
    return {
      identity: `${options.name} ${place.link ?? place.path ?? ''}`,
      place: redactUrl(url),
      shape,
      maxConnections: options.maxConnections ?? 1,
      open: ({ headers, signal }) =>
        context.client.request({ url, headers, signal, allowHttp: options.allowHttp }),
    };
  };
  return { locate: request => Promise.resolve().then(() => locate(request)) };
}
