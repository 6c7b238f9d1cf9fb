import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { startServer } from './file-server.ts';

export interface DriveFile {
  readonly id: string;
  readonly name: string;
  readonly bytes: Buffer;
  /** Large files come behind the virus-scan page. */
  readonly isLarge?: boolean;
  readonly trouble?: 'quota' | 'private' | 'gone' | 'robot' | undefined;
  /** Closes the connection after so many bytes of a request. */
  readonly cutAfter?: number;
  readonly ignoresRange?: boolean;
}

export interface DriveFolder {
  readonly id: string;
  readonly name: string;
  readonly files?: readonly DriveFile[];
  readonly folders?: readonly DriveFolder[];
  readonly documents?: readonly { readonly id: string; readonly name: string }[];
  readonly trouble?: 'private' | 'gone';
}

export interface DriveServerOptions {
  readonly key?: string;
  /** Write Google's own host names into pages, as clients that do not take another address expect. */
  readonly realHosts?: boolean;
  /** Entries of a page of the API. */
  readonly pageSize?: number;
}

export interface DriveServer {
  readonly drive: string;
  readonly content: string;
  readonly requests: string[];
  readonly headers: IncomingMessage['headers'][];
  readonly close: () => Promise<void>;
}

const escapeHtml = (text: string): string =>
  text.replace(
    /[&<>"']/g,
    c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]!,
  );

/** Google Drive as its pages, downloads and API are known to answer: a drive host and a content host. */
export async function startDriveServer(
  root: DriveFolder,
  options: DriveServerOptions = {},
): Promise<DriveServer> {
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const tokens = new Map<string, string>();
  const allFolders = (folder: DriveFolder): DriveFolder[] => [
    folder,
    ...(folder.folders ?? []).flatMap(allFolders),
  ];
  const folders = new Map(allFolders(root).map(folder => [folder.id, folder]));
  const files = new Map([...folders.values()].flatMap(f => f.files ?? []).map(file => [file.id, file]));

  const content = await startServer((request, response) => {
    note(request);
    const url = new URL(request.url ?? '/', 'http://x');
    const id = url.searchParams.get('id') ?? '';
    const file = files.get(id);
    if (file === undefined || file.trouble === 'gone') sendGone(response);
    else if (file.isLarge === true && tokens.get(url.searchParams.get('uuid') ?? '') !== id) {
      // Asked with a Range or not: the page comes whole, with status 200.
      const token = randomUUID();
      tokens.set(token, id);
      const host = options.realHosts === true ? 'https://drive.usercontent.google.com/' : content.url;
      sendHtml(response, 200, warningPage(file, host, token));
    } else if (url.searchParams.get('confirm') !== 't' && file.isLarge === true)
      sendHtml(response, 400, '<title>Bad</title>');
    else if (file.trouble === 'quota') sendHtml(response, 200, QUOTA_PAGE);
    else sendFile(request, response, file);
  });

  const drive = await startServer((request, response) => {
    note(request);
    const url = new URL(request.url ?? '/', 'http://x');
    const id = url.searchParams.get('id') ?? '';
    if (url.pathname === '/embeddedfolderview') {
      const folder = folders.get(id);
      if (folder === undefined || folder.trouble === 'gone')
        sendHtml(response, 404, '<title>Error 404</title>');
      else if (folder.trouble === 'private')
        redirect(response, 302, '/accounts.google.com/v3/signin/ServiceLogin?continue=x');
      else sendHtml(response, 200, folderPage(folder));
    } else if (url.pathname === '/uc') {
      const file = files.get(id);
      if (file?.trouble === 'robot') sendHtml(response, 403, ROBOT_PAGE);
      else if (file?.trouble === 'private')
        redirect(response, 302, '/accounts.google.com/v3/signin/ServiceLogin?continue=x');
      else {
        const host = options.realHosts === true ? 'https://drive.usercontent.google.com/' : content.url;
        redirect(response, 303, `${host}download?id=${id}&export=download`);
      }
    } else if (url.pathname.includes('ServiceLogin'))
      sendHtml(response, 200, '<title>Sign in - Google Accounts</title>');
    else if (url.pathname.startsWith('/drive/v3/files')) answerApi(request, response, url);
    else sendGone(response);
  });

  function note(request: IncomingMessage): void {
    requests.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.range ?? ''}`.trim());
    headers.push(request.headers);
  }

  function answerApi(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const fail = (status: number, reason: string, message: string): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ error: { code: status, message, errors: [{ domain: 'global', reason, message }] } }),
      );
    };
    if (request.headers['x-goog-api-key'] !== options.key) {
      fail(400, 'badRequest', 'API key not valid. Please pass a valid API key.');
      return;
    }
    const id = url.pathname.split('/')[4];
    const file = id === undefined ? undefined : files.get(id);
    if (id === undefined) sendList(response, url);
    else if (file === undefined) fail(404, 'notFound', `File not found: ${id}.`);
    else if (file.trouble === 'quota')
      fail(403, 'downloadQuotaExceeded', 'The download quota for this file has been exceeded.');
    else if (url.searchParams.get('alt') === 'media') sendFile(request, response, file);
    else sendJson(response, describeFile(file));
  }

  function sendList(response: ServerResponse, url: URL): void {
    const [, parent, name] = /^'([^']+)' in parents and name = '((?:[^'\\]|\\.)*)'/.exec(
      url.searchParams.get('q') ?? '',
    )!;
    const wanted = name!.replace(/\\(.)/g, '$1').toLowerCase();
    const folder = folders.get(parent!);
    const children = [
      ...(folder?.folders ?? []).map(child => ({
        id: child.id,
        name: child.name,
        mimeType: 'application/vnd.google-apps.folder',
      })),
      ...(folder?.files ?? []).map(describeFile),
    ].filter(child => child.name.toLowerCase() === wanted);
    const size = options.pageSize ?? 2;
    const start = Number(url.searchParams.get('pageToken') ?? 0);
    const next = start + size < children.length ? { nextPageToken: String(start + size) } : {};
    sendJson(response, { files: children.slice(start, start + size), incompleteSearch: false, ...next });
  }

  return {
    drive: drive.url,
    content: content.url,
    requests,
    headers,
    async close() {
      await drive.close();
      await content.close();
    },
  };
}

function describeFile(file: DriveFile): {
  id: string;
  name: string;
  mimeType: string;
  size: string;
  md5Checksum: string;
} {
  const md5Checksum = createHash('md5').update(file.bytes).digest('hex');
  return {
    id: file.id,
    name: file.name,
    mimeType: 'application/zip',
    size: String(file.bytes.length),
    md5Checksum,
  };
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: DriveFile): void {
  const range = file.ignoresRange === true ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const total = file.bytes.length;
  const start = range === null ? 0 : Number(range[1]);
  const end = range === null || range[2] === '' ? total : Math.min(Number(range[2]) + 1, total);
  const body = file.bytes.subarray(start, end);
  response.writeHead(range === null ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${encodeURIComponent(file.name)}"; filename*=UTF-8''${encodeURIComponent(file.name)}`,
    'content-length': body.length,
    'last-modified': 'Mon, 19 Aug 2019 10:00:00 GMT',
    ...(range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${total}` }),
  });
  if (file.cutAfter === undefined || file.cutAfter >= body.length) response.end(body);
  else response.write(body.subarray(0, file.cutAfter), () => response.socket?.destroySoon());
}

function sendHtml(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page);
}

function sendGone(response: ServerResponse): void {
  sendHtml(
    response,
    404,
    '<title>Google Drive - Page not found</title><p>Sorry, the file you have requested does not exist.</p>',
  );
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function redirect(response: ServerResponse, status: number, location: string): void {
  response.writeHead(status, { location }).end();
}

function folderPage(folder: DriveFolder): string {
  const entry = (id: string, href: string, name: string, icon: string): string =>
    `<div class="flip-entry" id="entry-${id}" tabindex="0" role="link"><div class="flip-entry-info"><a href="${href}" target="_blank">` +
    `<div class="flip-entry-visual"></div><div class="flip-entry-list-icon">${icon}</div>` +
    `<div class="flip-entry-title">${escapeHtml(name)}</div></a></div><div class="flip-entry-last-modified"><div>10/29/20</div></div></div>`;
  const entries = [
    ...(folder.folders ?? []).map(f =>
      entry(
        f.id,
        `https://drive.google.com/drive/folders/${f.id}`,
        f.name,
        '<div aria-label="Folder"></div>',
      ),
    ),
    ...(folder.files ?? []).map(f =>
      entry(f.id, `https://drive.google.com/file/d/${f.id}/view?usp=drive_web`, f.name, '<img src="x">'),
    ),
    ...(folder.documents ?? []).map(d =>
      entry(d.id, `https://docs.google.com/document/d/${d.id}/edit?usp=drive_web`, d.name, '<img src="x">'),
    ),
  ];
  return (
    `<html><head><title>${escapeHtml(folder.name)}</title></head><body class="flip-embedded"><div id="flip-contents" class="flip-contents flip-list-view">` +
    `<div class="flip-list-header"></div><div class="flip-entries">${entries.join('')}</div></div></body></html>`
  );
}

function warningPage(file: DriveFile, host: string, token: string): string {
  return (
    '<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body><div class="uc-main">' +
    '<p class="uc-warning-caption">Google Drive can&#39;t scan this file for viruses.</p>' +
    `<p class="uc-warning-subcaption"><span class="uc-name-size"><a href="/open?id=${file.id}">${escapeHtml(file.name)}</a> (126M)</span> is too large.</p>` +
    `<form id="download-form" action="${host}download" method="get"><input type="submit" id="uc-download-link" value="Download anyway"/>` +
    `<input type="hidden" name="id" value="${file.id}"><input type="hidden" name="export" value="download">` +
    `<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="${token}"></form></div></body></html>`
  );
}

const QUOTA_PAGE =
  '<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>' +
  '<p class="uc-error-caption">Sorry, you can&#39;t view or download this file at this time.</p>' +
  '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please try again in up to 24 hours.</p></body></html>';
const ROBOT_PAGE =
  '<html><head><title>Sorry...</title></head><body>your computer or network may be sending automated queries</body></html>';
