import { MirrorFault } from '../net/mirror-fault.ts';
import type { FileShape } from '../net/file-shape.ts';
import type { HttpResponse } from '../net/client.ts';
import type { OpenRequest, RemoteFile } from '../net/remote-file.ts';
import { BAIDU_AGENT, listBaiduFolder, requestBaiduLink } from './baidu-share.ts';
import type { BaiduEntry, BaiduListing, BaiduShare } from './baidu-share.ts';
import { comparePartNames } from '../files/part-names.ts';
import type { LocateContext, LocateRequest, MirrorProvider } from './mirror.ts';

export interface BaiduOptions {
  readonly name: string;
  readonly share: string;
  readonly code: string;
  readonly base?: string | undefined;
  readonly allowHttp?: boolean | undefined;
}

/** A share of Baidu Pan, through the session in BAIDU_COOKIE. Experimental: Baidu changes these ways without notice. */
export function createBaidu(options: BaiduOptions, context: LocateContext): MirrorProvider {
  const base = new URL('./', options.base ?? 'https://pan.baidu.com/').href;
  const listings = new Map<string, Promise<BaiduListing>>();

  const openShare = (): BaiduShare => {
    const cookie = context.environment['BAIDU_COOKIE'];
    if (cookie === undefined || cookie === '') {
      throw new MirrorFault(
        'sign-in',
        'BAIDU_COOKIE is not set: Baidu hands out files to logged-in sessions only',
      );
    }
    const { share, code, allowHttp } = options;
    return { base, share, code, allowHttp, cookie, client: context.client, signal: context.signal };
  };

  const list = (share: BaiduShare, folder: string | undefined): Promise<BaiduListing> => {
    const listing = listings.get(folder ?? '') ?? listBaiduFolder(share, folder);
    listings.set(folder ?? '', listing);
    listing.catch(() => listings.delete(folder ?? ''));
    return listing;
  };

  /** The folder of a path, walked from the root, since only the share knows its inner paths. */
  const openFolder = async (share: BaiduShare, names: readonly string[]): Promise<BaiduListing> => {
    let listing = await list(share, undefined);
    for (const [index, name] of names.entries()) {
      const folder = listing.entries.find(entry => entry.isFolder && entry.name === name);
      if (folder === undefined) throw notThere(names.slice(0, index + 1).join('/'), listing);
      // Only the listing of the root is sure to carry the key.
      listing = { ...listing, entries: (await list(share, folder.path)).entries };
    }
    return listing;
  };

  const makeRemote = (
    share: BaiduShare,
    listing: BaiduListing,
    entry: BaiduEntry,
    shape: FileShape,
  ): RemoteFile => {
    const state: { link?: string | undefined } = {};
    return {
      identity: `${options.name} ${entry.id}`,
      place: `Baidu share ${options.share}, ${entry.path}`,
      shape,
      // Baidu's md5 is garbled and, for files uploaded in blocks, not that of the content: only the size is used.
      sizeBytes: entry.sizeBytes,
      maxConnections: 1,
      open: async request => {
        if (request.fresh) state.link = undefined;
        state.link ??= await requestBaiduLink(share, listing, entry.id);
        return openLink(share, state.link, request);
      },
      explainPage: explainBaiduAnswer,
    };
  };

  const locate = async ({ place, shape }: LocateRequest): Promise<RemoteFile> => {
    if (place.path === undefined) throw new MirrorFault('unsupported', 'the share needs a path');
    const share = openShare();
    const names = place.path.split('/');
    const listing = await openFolder(share, names.slice(0, -1));
    const entry = listing.entries.find(({ isFolder, name }) => !isFolder && name === names.at(-1));
    if (entry === undefined) throw notThere(place.path, listing);
    return makeRemote(share, listing, entry, shape);
  };

  const locateParts = async (pattern: string, shape: FileShape): Promise<RemoteFile[]> => {
    const share = openShare();
    const names = pattern.split('/');
    const prefix = names.at(-1)!.slice(0, -1);
    const listing = await openFolder(share, names.slice(0, -1));
    const files = listing.entries.filter(entry => !entry.isFolder);
    let parts = files.filter(entry => entry.name.startsWith(prefix));
    // A small archive was perhaps not cut at all.
    if (parts.length === 0) parts = files.filter(entry => `${entry.name}.` === prefix);
    if (parts.length === 0) throw notThere(pattern, listing);
    parts.sort((a, b) => comparePartNames(a.name, b.name));
    return parts.map((entry, index) => makeRemote(share, listing, entry, index === 0 ? shape : 'part'));
  };
  return { locate, locateParts };
}

/** The link wants the session and this agent, and leads to another host, which must not see the session. */
async function openLink(share: BaiduShare, link: string, request: OpenRequest): Promise<HttpResponse> {
  const { host, hostname } = new URL(link);
  const isBaidu = hostname.endsWith('.baidu.com') || host === new URL(share.base).host;
  const headers = { ...request.headers, 'user-agent': BAIDU_AGENT };
  const { allowHttp } = share;
  const first = await share.client.request({
    url: link.replace(/^http:(?=\/\/[^/]*\.baidu(?:pcs)?\.com\/)/, 'https:'),
    headers: isBaidu ? { ...headers, cookie: share.cookie } : headers,
    followRedirects: false,
    signal: request.signal,
    allowHttp,
  });
  const { location } = first.headers;
  if (first.status < 300 || first.status >= 400 || location === undefined) return first;
  first.body.destroy();
  const url = new URL(location, link).href.replace(/^http:(?=\/\/[^/]*\.baidupcs\.com\/)/, 'https:');
  return share.client.request({ url, headers, signal: request.signal, allowHttp });
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
  const told = `Baidu refuses the download with ${status}, error ${code}`;
  if (code === 31360) return new MirrorFault('expired', `${told}: the link has run out`);
  if (code === 31326 || code === 31626)
    return new MirrorFault('sign-in', `${told}: BAIDU_COOKIE is not accepted`);
  return new MirrorFault('forbidden', told);
}
