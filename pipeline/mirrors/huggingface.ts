import { v } from '../schema.ts';
import type { HttpClient, HttpResponse } from '../net/client.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import type { OpenRequest } from '../net/remote-file.ts';
import { mirrorFields } from './fields.ts';
import { defineMirrorKind, joinUrl } from './mirror.ts';
import { maySendSecret } from './secrets.ts';

const MAX_HOPS = 5;
const HOME = 'https://huggingface.co/';
const OWN_HOSTS = ['huggingface.co', 'hf.co'];

/** A repository of the Hugging Face hub. For large files the hub itself names size and sha256. */
export const huggingFace = defineMirrorKind({
  provider: 'huggingface',
  home: HOME,
  schema: v.strictObject({
    provider: v.literal('huggingface'),
    ...mirrorFields /** Such as `datasets/owner/name`. */,
    repository: v.string(),
    revision: v.optional(v.string()),
  }),
  create(name, { repository, revision = 'main', ...entry }, context) {
    const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = context.environment;
    const hub: Hub = {
      client: context.client,
      base: entry.base ?? endpoint ?? HOME,
      token: token === '' ? undefined : token,
      given: context.givenBase ?? endpoint,
      allowHttp: entry.allow_http,
    };
    return {
      locate: async ({ location: { path }, shape }) => {
        if (path === undefined) throw new MirrorFault('unsupported', 'the hub needs a path');
        const folder = joinUrl(hub.base, `${repository}/resolve`);
        const url = `${folder}/${encodeURIComponent(revision)}/${encodePath(path)}`;
        const metadata = await readMetadata(hub, url, context.signal);
        const etag = header(metadata, 'x-linked-etag')?.replaceAll('"', '') ?? '';
        const size = header(metadata, 'x-linked-size');
        return {
          identity: `${name} ${path} ${header(metadata, 'x-repo-commit') ?? ''}`,
          description: redactUrl(url),
          shape,
          sizeBytes: size === undefined ? undefined : Number(size),
          sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : undefined,
          maxConnections: entry.max_connections ?? 4,
          open: request => openFile(hub, url, request),
        };
      },
    };
  },
});

interface Hub {
  readonly client: HttpClient;
  readonly base: string;
  readonly token: string | undefined;
  readonly given: string | undefined;
  readonly allowHttp: boolean | undefined;
}

/** Follows the hub's own (relative) redirects, and stops at the one that leaves for the storage host. */
async function readMetadata(hub: Hub, start: string, signal: AbortSignal): Promise<HttpResponse> {
  let url = start;
  for (let hop = 0; hop < MAX_HOPS; hop++) {
    const headers = authorize(hub, url);
    const { client, allowHttp } = hub;
    const response = await client.request({ url, headers, followRedirects: false, allowHttp, signal });
    response.body.destroy();
    if (response.status >= 400) throw explainHubError(hub, response);
    const { location } = response.headers;
    if (location === undefined || URL.canParse(location)) return response;
    url = new URL(location, url).href;
  }
  throw new MirrorFault('unsupported', 'the hub redirects without end');
}

async function openFile(hub: Hub, url: string, { headers, signal }: OpenRequest): Promise<HttpResponse> {
  const { client, allowHttp } = hub;
  const response = await client.request({
    url,
    headers: { ...headers, ...authorize(hub, url) },
    signal,
    allowHttp,
  });
  const isRefused = response.status >= 400 && response.status !== 416;
  if (!isRefused) return response;
  response.body.destroy();
  if (response.status === 403 && new URL(response.url).host !== new URL(url).host) {
    throw new MirrorFault('expired', "the storage host refuses the hub's link; it may have run out");
  }
  throw explainHubError(hub, response);
}

function authorize(hub: Hub, url: string): Record<string, string> {
  if (hub.token === undefined || !maySendSecret(url, { own: OWN_HOSTS, given: hub.given })) return {};
  return { authorization: `Bearer ${hub.token}` };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function header(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function explainHubError(hub: Hub, response: HttpResponse): MirrorFault {
  const code = header(response, 'x-error-code');
  const isKept = hub.token !== undefined && !maySendSecret(hub.base, { own: OWN_HOSTS, given: hub.given });
  const how = isKept
    ? `HF_TOKEN is not sent to ${new URL(hub.base).host}, which only the manifest names; --base-url allows it`
    : 'set HF_TOKEN';
  if (code === 'GatedRepo')
    return new MirrorFault('sign-in', `the repository is gated: accept its terms, ${how}`);
  if (code !== undefined) return new MirrorFault('gone', `the hub answers ${code}`);
  // The hub also answers 401 for repositories that do not exist.
  if (response.status === 401)
    return new MirrorFault('sign-in', `the hub answers 401: private or not there; ${how}`);
  return faultOfStatus(response.status, response.headers);
}
