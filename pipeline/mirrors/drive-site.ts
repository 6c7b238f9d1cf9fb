import { titleOf } from '../html-document.ts';
import { CookieJar, readBody } from '../net/client.ts';
import type { HttpClient, HttpResponse } from '../net/client.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { OpenRequest, RemoteFile } from '../net/remote-file.ts';
import { explainDrivePage, isPartialFolderView, parseConfirmForm, parseFolderView } from './drive-pages.ts';
import type { DriveEntry } from './drive-pages.ts';
import type { FileLocation } from './mirror.ts';

/** Where people see Google Drive. */
export const DRIVE_HOME = 'https://drive.google.com/';

export type DriveId = Pick<DriveEntry, 'id' | 'resourceKey'>;

export interface DriveSiteOptions {
  readonly base?: string | undefined;
  /** The folder that paths begin in. */
  readonly root: DriveId | undefined;
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  readonly allowHttp?: boolean | undefined;
}

/** Drive serves its plain pages to desktop browsers; folder views and downloads want different ones. */
const FOLDER_AGENT =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/98.0.4758.102 Safari/537.36';
const FILE_AGENT =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/39.0.2171.95 Safari/537.36';
const PAGE_BYTES = 256 << 10;
/** The warning page may itself come once more when the link in it has run out. */
const MAX_PAGES = 3;

/** Google Drive through the pages that people see, for those without a key. */
export class DriveSite {
  readonly #options: DriveSiteOptions;
  readonly #base: string;
  readonly #folders = new Map<string, Promise<readonly DriveEntry[]>>();

  constructor(options: DriveSiteOptions) {
    this.#options = options;
    this.#base = options.base ?? DRIVE_HOME;
  }

  /** The file with this id, or at this path below the root. Throws MirrorFault. */
  async resolve({ id, path = '' }: FileLocation): Promise<DriveId> {
    if (id !== undefined) return { id };
    if (this.#options.root === undefined) throw new MirrorFault('unsupported', 'the mirror has no folder');
    let found = this.#options.root;
    const names = path.split('/');
    for (let depth = 1; depth <= names.length; depth++) {
      const kind = depth === names.length ? 'file' : 'folder';
      found = pickChild(await this.#list(found), kind, names.slice(0, depth).join('/'));
    }
    return found;
  }

  /** How the bytes of a file are asked for. The address behind the warning page is used again while it works. */
  opener(file: DriveId): RemoteFile['open'] {
    let confirmed: string | undefined;
    return async request => {
      if (request.fresh) confirmed = undefined;
      const cookies = new CookieJar();
      let url = confirmed ?? this.#address('uc', { id: file.id, export: 'download' }, file.resourceKey);
      for (let page = 0; page < MAX_PAGES; page++) {
        const response = await this.#ask(url, request, cookies);
        const isPage = !isFile(response) && (response.headers['content-type'] ?? '').includes('text/html');
        if (!isPage) {
          if (isFile(response)) confirmed = url;
          return response;
        }
        confirmed = undefined;
        url = await readConfirmedAddress(response, request.signal);
      }
      throw new MirrorFault('not-the-file', 'Google Drive shows its virus-scan page again and again');
    };
  }

  #ask(url: string, { headers, signal }: OpenRequest, cookies: CookieJar): Promise<HttpResponse> {
    const { client, allowHttp } = this.#options;
    return client.request({
      url,
      headers: { 'user-agent': FILE_AGENT, ...headers },
      cookies,
      signal,
      allowHttp,
    });
  }

  /** Children of a folder; each is listed once, and a listing that failed is tried anew. */
  #list(folder: DriveId): Promise<readonly DriveEntry[]> {
    const listing = this.#folders.get(folder.id) ?? this.#readFolder(folder);
    this.#folders.set(folder.id, listing);
    listing.catch(() => this.#folders.delete(folder.id));
    return listing;
  }

  async #readFolder({ id, resourceKey }: DriveId): Promise<readonly DriveEntry[]> {
    const { client, allowHttp, signal } = this.#options;
    const page = await client.readPage({
      url: this.#address('embeddedfolderview', { id, hl: 'en' }, resourceKey),
      headers: { 'user-agent': FOLDER_AGENT },
      allowHttp,
      signal,
    });
    const entries = page.status === 200 ? parseFolderView(page.text) : undefined;
    if (entries === undefined) throw explainFolder(id, page);
    if (!isPartialFolderView(page.text)) return entries;
    const what = `Google Drive shows only a part of folder ${id}; set GOOGLE_API_KEY`;
    throw new MirrorFault('unsupported', what);
  }

  #address(path: string, query: Record<string, string>, resourceKey: string | undefined): string {
    const url = new URL(path, this.#base);
    url.search = new URLSearchParams({
      ...query,
      ...(resourceKey && { resourcekey: resourceKey }),
    }).toString();
    return url.href;
  }
}

function pickChild(children: readonly DriveEntry[], kind: 'file' | 'folder', path: string): DriveEntry {
  const name = path.split('/').at(-1);
  const [match, second] = children.filter(child => child.name === name && child.kind === kind);
  if (match === undefined) {
    const names = children.map(child => child.name).join(', ');
    const there = names === '' ? 'the folder is empty' : `there: ${names}`;
    throw new MirrorFault('gone', `no ${kind} "${path}" (${there})`);
  }
  if (second === undefined) return match;
  throw ambiguousName(path);
}

/** Drive allows equal names; without sizes or hashes there is no telling which file is meant. */
export function ambiguousName(path: string): MirrorFault {
  const what = `the folder has several files named "${path}"; give the id of the right one in a manifest`;
  return new MirrorFault('unsupported', what);
}

/** The address behind "Download anyway". Throws MirrorFault where the page is not the virus-scan warning. */
async function readConfirmedAddress(response: HttpResponse, signal: AbortSignal): Promise<string> {
  const text = await readBody(response, PAGE_BYTES, signal);
  const fault = explainDrivePage(text, response.status, response.url);
  if (fault !== undefined) throw fault;
  if (response.status >= 400) throw faultOfStatus(response.status, response.headers);
  const confirmed = parseConfirmForm(text, response.url);
  if (confirmed !== undefined) return confirmed;
  const title = titleOf(text) ?? 'without a title';
  throw new MirrorFault('not-the-file', `Google Drive sends a page "${title}" instead of the file`);
}

function explainFolder(
  id: string,
  page: { readonly status: number; readonly headers: HttpResponse['headers']; text: string; url: string },
): MirrorFault {
  if (page.status === 404) return new MirrorFault('gone', `Google Drive has no folder ${id}`);
  const fault = explainDrivePage(page.text, page.status, page.url);
  if (fault !== undefined) return fault;
  if (page.status !== 200) return faultOfStatus(page.status, page.headers);
  return new MirrorFault('not-the-file', `Google Drive's page for folder ${id} is not a folder view`);
}

/** gdown and others distinguish files from pages by this header alone; a ranged answer is a file too. */
function isFile(response: HttpResponse): boolean {
  return response.headers['content-disposition'] !== undefined || response.status === 206;
}
