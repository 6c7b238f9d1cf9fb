import { v } from '../schema.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { FileShape } from '../net/file-shape.ts';
import type { HttpResponse } from '../net/client.ts';
import type { OpenRequest, RemoteFile } from '../net/remote-file.ts';
import { comparePartNames } from '../files/part-names.ts';
import { BAIDU_AGENT, listBaiduFolder, requestBaiduLink } from './baidu-share.ts';
import type { BaiduEntry, BaiduListing, BaiduShare } from './baidu-share.ts';
import { mirrorFields } from './fields.ts';
import { defineMirrorKind, type LocatedPart, type LocateRequest, type MirrorProvider } from './mirror.ts';
import { maySendSecret } from './secrets.ts';

const HOME = 'https://pan.baidu.com/';
const OWN_HOSTS = ['baidu.com'];

/** A share of Baidu Pan, through the session in BAIDU_COOKIE. Experimental: Baidu changes these ways without notice. */
export const baidu = defineMirrorKind({
  provider: 'baidu',
  home: HOME,
  schema: v.strictObject({
    provider: v.literal('baidu'),
    ...mirrorFields,
    share: v.string(),
    code: v.string(),
  }),
  create: (name, { share, code, allow_http: allowHttp, ...entry }, context) => {
    const base = new URL('./', entry.base ?? HOME).href;
    return new BaiduMirror(name, () => {
      const cookie = context.environment['BAIDU_COOKIE'] ?? '';
      if (cookie === '') {
        throw new MirrorFault(
          'sign-in',
          'BAIDU_COOKIE is not set: Baidu hands out files to logged-in sessions only',
        );
      }
      const given = context.givenBase;
      if (!maySendSecret(base, { own: OWN_HOSTS, given })) {
        const { host } = new URL(base);
        throw new MirrorFault(
          'sign-in',
          `BAIDU_COOKIE is not sent to ${host}, which only the manifest names; --base-url allows it`,
        );
      }
      const { client, signal } = context;
      const maySeeCookie = (url: string): boolean => maySendSecret(url, { own: OWN_HOSTS, given });
      return { base, share, code, allowHttp, cookie, maySeeCookie, client, signal };
    });
  },
});

class BaiduMirror implements MirrorProvider {
  readonly #name: string;
  readonly #openShare: () => BaiduShare;
  readonly #listings = new Map<string, Promise<BaiduListing>>();

  constructor(name: string, openShare: () => BaiduShare) {
    this.#name = name;
    this.#openShare = openShare;
  }

  async locate({ location: { path }, shape }: LocateRequest): Promise<RemoteFile> {
    if (path === undefined) throw new MirrorFault('unsupported', 'the share needs a path');
    const share = this.#openShare();
    const names = path.split('/');
    const listing = await this.#openFolder(share, names.slice(0, -1));
    const entry = listing.entries.find(({ isFolder, name }) => !isFolder && name === names.at(-1));
    if (entry === undefined) throw notThere(path, listing);
    return this.#remote(share, listing, entry, shape);
  }

  async locateParts(pattern: string, shape: FileShape): Promise<LocatedPart[]> {
    const share = this.#openShare();
    const names = pattern.split('/');
    const prefix = names.at(-1)!.slice(0, -1);
    const listing = await this.#openFolder(share, names.slice(0, -1));
    const files = listing.entries.filter(entry => !entry.isFolder);
    let parts = files.filter(entry => entry.name.startsWith(prefix));
    // A small archive was perhaps not cut at all.
    if (parts.length === 0) parts = files.filter(entry => `${entry.name}.` === prefix);
    if (parts.length === 0) throw notThere(pattern, listing);
    parts.sort((a, b) => comparePartNames(a.name, b.name));
    return parts.map((entry, index) => ({
      name: entry.name,
      remote: this.#remote(share, listing, entry, index === 0 ? shape : 'part'),
    }));
  }

  /** The folder at a path, walked from the root, since only the share knows its inner paths. */
  async #openFolder(share: BaiduShare, names: readonly string[]): Promise<BaiduListing> {
    let listing = await this.#list(share, '');
    for (const [index, name] of names.entries()) {
      const folder = listing.entries.find(entry => entry.isFolder && entry.name === name);
      if (folder === undefined) throw notThere(names.slice(0, index + 1).join('/'), listing);
      // Only the listing of the root is sure to carry the key.
      listing = { ...listing, entries: (await this.#list(share, folder.path)).entries };
    }
    return listing;
  }

  /** Each folder is listed once, and a listing that failed is tried anew. */
  #list(share: BaiduShare, folder: string): Promise<BaiduListing> {
    const listing = this.#listings.get(folder) ?? listBaiduFolder(share, folder === '' ? undefined : folder);
    this.#listings.set(folder, listing);
    listing.catch(() => this.#listings.delete(folder));
    return listing;
  }

  #remote(share: BaiduShare, listing: BaiduListing, entry: BaiduEntry, shape: FileShape): RemoteFile {
    let link: string | undefined;
    return {
      identity: `${this.#name} ${entry.id}`,
      description: `Baidu share ${share.share}, ${entry.path}`,
      shape,
      // Baidu's md5 is garbled and, for files uploaded in blocks, not that of the content: only the size is used.
      sizeBytes: entry.sizeBytes,
      maxConnections: 1,
      open: async request => {
        if (request.fresh) link = undefined;
        link ??= await requestBaiduLink(share, listing, entry.id);
        return openLink(share, link, request);
      },
      explainPage: explainBaiduAnswer,
    };
  }
}

/** The link needs the session and this agent, and redirects to another host, which must not see the session. */
async function openLink(share: BaiduShare, link: string, request: OpenRequest): Promise<HttpResponse> {
  const url = link.replace(/^http:(?=\/\/[^/]*\.baidu(?:pcs)?\.com\/)/, 'https:');
  const headers = { ...request.headers, 'user-agent': BAIDU_AGENT };
  const { allowHttp } = share;
  const first = await share.client.request({
    url,
    headers: share.maySeeCookie(url) ? { ...headers, cookie: share.cookie } : headers,
    followRedirects: false,
    signal: request.signal,
    allowHttp,
  });
  const { location } = first.headers;
  if (first.status < 300 || first.status >= 400 || location === undefined) return first;
  first.body.destroy();
  const target = new URL(location, url).href.replace(/^http:(?=\/\/[^/]*\.baidupcs\.com\/)/, 'https:');
  return share.client.request({ url: target, headers, signal: request.signal, allowHttp });
}

function notThere(path: string, listing: BaiduListing): MirrorFault {
  const names = listing.entries.map(entry => entry.name).join(', ');
  return new MirrorFault(
    'gone',
    `no "${path}" in the Baidu share (there: ${names === '' ? 'nothing' : names})`,
  );
}

export function explainBaiduAnswer(text: string, status: number): MirrorFault | undefined {
  const code = Number(/"error_code"\s*:\s*"?(\d+)/.exec(text)?.[1]);
  if (Number.isNaN(code)) return undefined;
  const refusal = `Baidu refuses the download with ${status}, error ${code}`;
  if (code === 31360) return new MirrorFault('expired', `${refusal}: the link has run out`);
  if (code === 31326 || code === 31626)
    return new MirrorFault('sign-in', `${refusal}: BAIDU_COOKIE is not accepted`);
  return new MirrorFault('forbidden', refusal);
}
