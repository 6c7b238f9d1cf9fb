import type { HttpResponse } from '../net/client.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { joinUrl } from './mirror.ts';
import type { LocateContext, LocateRequest, MirrorProvider } from './mirror.ts';

export interface HuggingFaceOptions {
  readonly name: string;
  /** Such as `datasets/owner/name`. */
  readonly repository: string;
  readonly revision?: string | undefined;
  readonly base?: string | undefined;
  readonly allowHttp?: boolean | undefined;
  readonly maxConnections?: number | undefined;
}

const MAX_HOPS = 5;

/** A repository of the Hugging Face hub. For large files the hub itself names size and sha256. */
export function createHuggingFace(options: HuggingFaceOptions, context: LocateContext): MirrorProvider {
  const { environment, client } = context;
  const base = options.base ?? environment['HF_ENDPOINT'] ?? 'https://huggingface.co/';
  const token = environment['HF_TOKEN'];
  const authorization: Record<string, string> =
    token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` };

  /** Follows the hub's own (relative) redirects, and stops at the one that leaves for the storage host. */
  const readMetadata = async (start: string): Promise<HttpResponse> => {
    let url = start;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const response = await client.request({
        url,
        headers: authorization,
        followRedirects: false,
        allowHttp: options.allowHttp,
        signal: context.signal,
      });
      response.body.destroy();
      const { location } = response.headers;
      if (location === undefined || URL.canParse(location)) return response;
      url = new URL(location, url).href;
    }
    throw new MirrorFault('unsupported', 'the hub redirects without end');
  };

  const locate = async ({ place, shape }: LocateRequest): Promise<RemoteFile> => {
    if (place.path === undefined) throw new MirrorFault('unsupported', 'the hub needs a path');
    const revision = encodeURIComponent(options.revision ?? 'main');
    const url = `${joinUrl(base, `${options.repository}/resolve`)}/${revision}/${encodePath(place.path)}`;
    const metadata = await readMetadata(url);
    if (metadata.status >= 400) throw explainHubError(metadata);
    const etag = header(metadata, 'x-linked-etag')?.replaceAll('"', '') ?? '';
    const size = header(metadata, 'x-linked-size');
    return {
      identity: `${options.name} ${place.path} ${header(metadata, 'x-repo-commit') ?? ''}`,
      place: redactUrl(url),
      shape,
      sizeBytes: size === undefined ? undefined : Number(size),
      sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : undefined,
      maxConnections: options.maxConnections ?? 4,
      open: async ({ headers, signal }) => {
        const request = {
          url,
          headers: { ...headers, ...authorization },
          signal,
          allowHttp: options.allowHttp,
        };
        const response = await client.request(request);
        const isStorage = new URL(response.url).host !== new URL(url).host;
        if (response.status === 403 && isStorage) {
          response.body.destroy();
          throw new MirrorFault('expired', "the storage host refuses the hub's link; it may have run out");
        }
        if (response.status >= 400 && response.status !== 416) {
          response.body.destroy();
          throw explainHubError(response);
        }
        return response;
      },
    };
  };
  return { locate };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function header(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function explainHubError(response: HttpResponse): MirrorFault {
  const code = header(response, 'x-error-code');
  if (code === 'GatedRepo')
    return new MirrorFault('sign-in', 'the repository is gated: accept its terms, set HF_TOKEN');
  if (code !== undefined) return new MirrorFault('gone', `the hub answers ${code}`);
  // The hub also answers 401 for repositories that do not exist.
  if (response.status === 401)
    return new MirrorFault('sign-in', 'the hub answers 401: private or not there; set HF_TOKEN');
  return faultOfStatus(response.status, response.headers);
}
