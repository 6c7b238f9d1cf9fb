import { CookieJar, readBody } from '../net/client.ts';
import type { HttpResponse } from '../net/client.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { OpenRequest, RemoteFile } from '../net/remote-file.ts';
import { findWithKey, openWithKey } from './drive-api.ts';
import { explainDrivePage, isPartialFolderView, parseConfirmForm, parseFolderView } from './drive-pages.ts';
import type { DriveEntry } from './drive-pages.ts';
import type { LocateContext, LocateRequest, MirrorProvider } from './mirror.ts';

export interface GoogleDriveOptions {
  readonly name: string;
  readonly folder?: string | undefined;
  readonly resourceKey?: string | undefined;
  readonly base?: string | undefined;
  readonly apiBase?: string | undefined;
  readonly allowHttp?: boolean | undefined;
}

/** Drive serves its plain pages to desktop browsers; folder views and downloads want different ones. */
const FOLDER_AGENT =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/98.0.4758.102 Safari/537.36';
const FILE_AGENT =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/39.0.2171.95 Safari/537.36';
const PAGE_BYTES = 256 << 10;
const DRIVE = 'https://drive.google.com/';
const API = 'https://www.googleapis.com/';

/** A shared folder of Google Drive, by path, or single files by id; without a key through the pages people see. */
export function createGoogleDrive(options: GoogleDriveOptions, context: LocateContext): MirrorProvider {
  const base = options.base ?? DRIVE;
  const key = context.environment['GOOGLE_API_KEY'];
  const api = {
    base: options.apiBase ?? API,
    key: key ?? '',
    client: context.client,
    allowHttp: options.allowHttp,
    signal: context.signal,
  };
  const folders = new Map<string, Promise<readonly DriveEntry[]>>();

  const listFolder = (id: string, resourceKey: string | undefined): Promise<readonly DriveEntry[]> => {
    const listing = folders.get(id) ?? readFolder(id, resourceKey);
    folders.set(id, listing);
    listing.catch(() => folders.delete(id));
    return listing;
  };

  const readFolder = async (id: string, resourceKey: string | undefined): Promise<readonly DriveEntry[]> => {
    const url = new URL('embeddedfolderview', base);
    url.search = new URLSearchParams({
      id,
      hl: 'en',
      ...(resourceKey && { resourcekey: resourceKey }),
    }).toString();
    const page = await context.client.readPage({
      url: url.href,
      headers: { 'user-agent': FOLDER_AGENT },
      allowHttp: options.allowHttp,
      signal: context.signal,
    });
    const entries = page.status === 200 ? parseFolderView(page.text) : undefined;
    if (entries !== undefined && isPartialFolderView(page.text)) {
      throw new MirrorFault(
        'unsupported',
        `Google Drive shows only a part of folder ${id}; set GOOGLE_API_KEY`,
      );
    }
    if (entries !== undefined) return entries;
    if (page.status === 404) throw new MirrorFault('gone', `Google Drive has no folder ${id}`);
    const fault = explainDrivePage(page.text, page.status, page.url);
    if (fault !== undefined) throw fault;
    if (page.status !== 200) throw faultOfStatus(page.status, page.headers);
    throw new MirrorFault('not-the-file', `Google Drive's page for folder ${id} is not a folder view`);
  };

  const findByPath = async (path: string): Promise<DriveEntry> => {
    if (options.folder === undefined) throw new MirrorFault('unsupported', 'the mirror has no folder');
    let found: DriveEntry = {
      id: options.folder,
      name: '',
      kind: 'folder',
      resourceKey: options.resourceKey,
    };
    const names = path.split('/');
    for (const [index, name] of names.entries()) {
      const kind = index === names.length - 1 ? 'file' : 'folder';
      const children = await listFolder(found.id, found.resourceKey);
      const matches = children.filter(child => child.name === name && child.kind === kind);
      const [match] = matches;
      if (match === undefined) {
        const there =
          children.length === 0 ? 'the folder is empty' : `there: ${children.map(c => c.name).join(', ')}`;
        throw new MirrorFault('gone', `no ${kind} "${names.slice(0, index + 1).join('/')}" (${there})`);
      }
      // Drive allows equal names; without sizes or hashes nobody can tell which one is meant.
      if (matches.length > 1) {
        throw new MirrorFault(
          'unsupported',
          `"${name}" is there ${matches.length} times; give its id in a manifest`,
        );
      }
      found = match;
    }
    return found;
  };

  const openPage = async (entry: DriveEntry, request: OpenRequest, state: { url?: string | undefined }) => {
    const cookies = new CookieJar();
    const ask = (url: string): Promise<HttpResponse> =>
      context.client.request({
        url,
        headers: { 'user-agent': FILE_AGENT, ...request.headers },
        cookies,
        signal: request.signal,
        allowHttp: options.allowHttp,
      });
    if (request.fresh) state.url = undefined;
    const first = new URL('uc', base);
    first.search = new URLSearchParams({
      id: entry.id,
      export: 'download',
      ...(entry.resourceKey && { resourcekey: entry.resourceKey }),
    }).toString();
    let url = state.url ?? first.href;
    // The warning page may itself come once more when the link in it has run out.
    for (let page = 0; page < 3; page++) {
      const response = await ask(url);
      if (isFile(response)) {
        state.url = url;
        return response;
      }
      if (!(response.headers['content-type'] ?? '').includes('text/html')) return response;
      const text = await readBody(response, PAGE_BYTES, request.signal);
      const fault = explainDrivePage(text, response.status, response.url);
      if (fault !== undefined) throw fault;
      if (response.status >= 400) throw faultOfStatus(response.status, response.headers);
      const confirmed = parseConfirmForm(text, response.url);
      if (confirmed === undefined) {
        const title = /<title>([^<]*)/i.exec(text)?.[1] ?? 'without a title';
        throw new MirrorFault('not-the-file', `Google Drive sends a page "${title}" instead of the file`);
      }
      state.url = undefined;
      url = confirmed;
    }
    throw new MirrorFault('not-the-file', 'Google Drive shows its virus-scan page again and again');
  };

  const locate = async ({ place, shape }: LocateRequest): Promise<RemoteFile> => {
    const common = { shape, maxConnections: 1, identity: `${options.name} ${place.id ?? place.path ?? ''}` };
    if (key !== undefined && key !== '') {
      const file = await findWithKey(api, options.folder, options.resourceKey, place);
      return {
        ...common,
        place: `Google Drive file ${file.id}`,
        sizeBytes: file.sizeBytes,
        md5: file.md5,
        open: request => openWithKey(api, file, request),
      };
    }
    const entry: DriveEntry =
      place.id === undefined ? await findByPath(place.path ?? '') : { id: place.id, name: '', kind: 'file' };
    const state: { url?: string | undefined } = {};
    return {
      ...common,
      place: `Google Drive file ${entry.id}`,
      open: request => openPage(entry, request, state),
    };
  };
  return { locate };
}

/** gdown and others tell files from pages by this header alone; a ranged answer is a file too. */
function isFile(response: HttpResponse): boolean {
  return response.headers['content-disposition'] !== undefined || response.status === 206;
}
