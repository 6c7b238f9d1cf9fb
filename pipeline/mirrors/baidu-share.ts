import { v } from '../schema.ts';
import { faultOfStatus } from '../net/check-response.ts';
import type { HttpClient, HttpPage } from '../net/client.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { FaultKind } from '../net/mirror-fault.ts';

export interface BaiduShare {
  readonly base: string;
  /** Last part of the share's address. */
  readonly share: string;
  readonly code: string;
  readonly cookie: string;
  /** Whether the session may be sent to an address. */
  readonly maySeeCookie: (url: string) => boolean;
  readonly client: HttpClient;
  readonly allowHttp?: boolean | undefined;
  readonly signal: AbortSignal;
}

export interface BaiduEntry {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly isFolder: boolean;
  readonly sizeBytes: number;
}

export interface BaiduListing {
  readonly entries: readonly BaiduEntry[];
  readonly shareId: string;
  readonly owner: string;
  /** Decoded; goes with every request for a download. */
  readonly key: string;
}

export const BAIDU_AGENT = 'netdisk';
const PAGE_ENTRIES = 1000;
const MAX_PAGES = 50;

/** Numbers come as text at the share's root and as numbers below it. */
const number = v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.number());
/** Ids exceed what a JavaScript number holds exactly, so their digits are quoted before parsing. */
const id = v.pipe(v.union([v.number(), v.string()]), v.transform(String));

const listSchema = v.object({
  errno: number,
  errtype: v.optional(v.string()),
  data: v.optional(
    v.object({
      uk: v.optional(id),
      shareid: v.optional(id),
      seckey: v.optional(v.string()),
      has_more: v.optional(v.union([v.boolean(), number])),
      list: v.optional(
        v.array(
          v.object({ fs_id: id, isdir: number, path: v.string(), server_filename: v.string(), size: number }),
        ),
      ),
    }),
  ),
});

/** One folder of the share, all pages of it; `folder` undefined is the root. Throws MirrorFault. */
export async function listBaiduFolder(share: BaiduShare, folder: string | undefined): Promise<BaiduListing> {
  const entries: BaiduEntry[] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const { list, hasMore, ...about } = await listPage(share, folder, page);
    for (const { fs_id, isdir, path, server_filename, size } of list) {
      entries.push({ id: fs_id, name: server_filename, path, isFolder: isdir === 1, sizeBytes: size });
    }
    if (!hasMore || list.length === 0) return { entries, ...about };
  }
  const message = `more than ${MAX_PAGES * PAGE_ENTRIES} entries in a folder of the share`;
  throw new MirrorFault('unsupported', message);
}

interface ListedPage extends Omit<BaiduListing, 'entries'> {
  readonly list: NonNullable<NonNullable<v.InferOutput<typeof listSchema>['data']>['list']>;
  readonly hasMore: boolean;
}

async function listPage(share: BaiduShare, folder: string | undefined, page: number): Promise<ListedPage> {
  const answer = await post(
    share,
    'share/wxlist?channel=weixin&version=2.2.2&clienttype=25&web=1',
    {
      shorturl: share.share,
      pwd: share.code,
      root: folder === undefined ? '1' : '0',
      ...(folder === undefined ? {} : { dir: folder }),
      page: String(page),
      num: String(PAGE_ENTRIES),
      order: 'time',
    },
    `${share.base}disk/home`,
  );
  const { errno, errtype, data } = parseBaidu(listSchema, answer);
  if (errno !== 0) throw explainErrno(errno, errtype);
  const { list = [], has_more: more = false, seckey = '', shareid = '', uk = '' } = data ?? {};
  const hasMore = more === true || more === 1 || list.length === PAGE_ENTRIES;
  return { list, hasMore, key: decodeKey(seckey), shareId: shareid, owner: uk };
}

/** A link to the bytes of a file, good for some hours. Throws MirrorFault. */
export async function requestBaiduLink(
  share: BaiduShare,
  listing: BaiduListing,
  fileId: string,
): Promise<string> {
  const config = parseBaidu(
    v.object({ errno: number, data: v.optional(v.object({ sign: v.string(), timestamp: id })) }),
    await share.client.readPage({
      url: new URL(
        `share/tplconfig?surl=${share.share}&fields=sign,timestamp&channel=chunlei&web=1&app_id=250528&clienttype=0`,
        share.base,
      ).href,
      headers: { 'user-agent': 'netdisk;pan.baidu.com', cookie: share.cookie },
      allowHttp: share.allowHttp,
      signal: share.signal,
    }),
  );
  if (config.errno !== 0 || config.data === undefined) throw explainErrno(config.errno, undefined);
  const { sign, timestamp } = config.data;
  // clienttype 12 makes the link last eight hours, any other one hour.
  const query = new URLSearchParams({
    app_id: '250528',
    channel: 'chunlei',
    clienttype: '12',
    web: '1',
    sign,
    timestamp,
  });
  const answer = await post(
    share,
    `api/sharedownload?${query.toString()}`,
    {
      encrypt: '0',
      extra: JSON.stringify({ sekey: listing.key }),
      fid_list: `[${fileId}]`,
      primaryid: listing.shareId,
      uk: listing.owner,
      product: 'share',
      type: 'nolimit',
    },
    `${share.base}s/${share.share}`,
  );
  const { errno, list } = parseBaidu(
    v.object({ errno: number, list: v.optional(v.array(v.object({ dlink: v.string() }))) }),
    answer,
  );
  const link = list?.[0]?.dlink;
  if (errno !== 0 || link === undefined) throw explainErrno(errno, undefined);
  return link;
}

function post(
  share: BaiduShare,
  path: string,
  form: Record<string, string>,
  referer: string,
): Promise<HttpPage> {
  return share.client.readPage({
    url: new URL(path, share.base).href,
    method: 'POST',
    headers: { 'user-agent': BAIDU_AGENT, cookie: share.cookie, referer },
    form,
    allowHttp: share.allowHttp,
    signal: share.signal,
  });
}

function parseBaidu<T extends v.GenericSchema>(schema: T, page: HttpPage): v.InferOutput<T> {
  if (page.status !== 200) throw faultOfStatus(page.status, page.headers);
  try {
    return v.parse(schema, JSON.parse(page.text.replace(/"(fs_id|shareid|uk)":\s*(\d+)/g, '"$1":"$2"')));
  } catch (cause) {
    throw new MirrorFault('not-the-file', 'Baidu answers something unexpected', { cause });
  }
}

/** The key arrives URL-encoded, with three characters exchanged. */
function decodeKey(key: string): string {
  const exchanged: Readonly<Record<string, string>> = { '-': '+', _: '/', '~': '=' };
  return decodeURIComponent(key).replace(/[-_~]/g, character => exchanged[character]!);
}

const ERRNO: Readonly<Record<number, readonly [FaultKind, string]>> = {
  [-6]: ['sign-in', 'the session in BAIDU_COOKIE is not logged in'],
  [-9]: ['gone', 'no such file, or a wrong access code'],
  [-12]: ['forbidden', 'wrong access code'],
  [-19]: ['forbidden', 'too many visits: Baidu wants a captcha; open the share in a browser once'],
  [-20]: ['forbidden', 'Baidu wants a captcha or the file saved to your own disk first'],
  [-62]: ['forbidden', 'too many tries of the access code: Baidu wants a captcha'],
  [-130]: ['forbidden', 'wrong access code'],
  [-1]: ['gone', 'Baidu has blocked the content'],
  2: ['busy', 'Baidu asks to try again'],
  3: ['gone', 'Baidu has blocked the content'],
  10: ['gone', 'the share has run out'],
  105: ['gone', 'the share does not exist'],
  110: ['forbidden', 'Baidu blocks this network address'],
  112: ['expired', 'the signature has run out'],
  113: ['expired', 'the signature is wrong'],
  116: ['gone', 'the share does not exist'],
  118: ['forbidden', 'no permission: the key of the share was not accepted'],
  8001: ['forbidden', 'the account is restricted'],
  9013: ['forbidden', 'the account is restricted'],
  9019: ['sign-in', 'the session in BAIDU_COOKIE is not accepted'],
};

export function explainErrno(errno: number, type: string | undefined): MirrorFault {
  if (type === 'mis_105') return new MirrorFault('gone', 'the share does not exist any more (mis_105)');
  const [kind, text] = ERRNO[errno] ?? ['unsupported', 'an error that is not documented'];
  return new MirrorFault(kind, `Baidu: ${text} (errno ${errno}${type === undefined ? '' : `, ${type}`})`);
}
