import type { IncomingMessage, RequestListener } from 'node:http';
import { startServer } from './file-server.ts';

export interface BaiduFile {
  readonly path: string;
  readonly bytes: Buffer;
}

export interface BaiduTrouble {
  /** The first so many links have run out. */
  readonly expiredLinks?: number;
  readonly listErrno?: number;
  readonly downloadErrno?: number;
  /** A link is refused as Baidu refuses it: `json` with status 200, else 403. */
  readonly refuse?: 'json' | 'forbidden';
}

const UK = '123456';
const SHARE_ID = '98765432109876543';
const SESSION = 'BDUSS=session';
const KEY = 'a+b/c=';

/** A Baidu share as it is known to answer: listing with code, sign, link, and bytes behind a redirect to another host. */
export async function startBaiduServer(files: readonly BaiduFile[], trouble: BaiduTrouble = {}) {
  const requests: string[] = [];
  let expired = trouble.expiredLinks ?? 0;
  const root = `/sharelink${UK}-${SHARE_ID}`;

  const storage = await startServer((request, response) => {
    requests.push(`storage ${request.headers.range ?? ''}`);
    const file = files[Number(new URL(request.url ?? '/', 'http://x').searchParams.get('id'))];
    const hasSession = request.headers.cookie !== undefined;
    if (file === undefined || hasSession || request.headers['user-agent'] !== 'netdisk') {
      response
        .writeHead(403, { 'content-type': 'text/plain' })
        .end('{"error_code":31362,"error_msg":"sign error"}');
      return;
    }
    const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? 'bytes=0-')!;
    const body = file.bytes.subarray(Number(start), end === '' ? undefined : Number(end) + 1);
    response.writeHead(206, {
      'content-length': body.length,
      'content-range': `bytes ${start}-${Number(start) + body.length - 1}/${file.bytes.length}`,
      'x-bs-file-size': file.bytes.length,
    });
    response.end(body);
  });

  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    requests.push(`${request.method ?? ''} ${url.pathname}`);
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    void readForm(request).then(form => {
      if (request.headers.cookie !== SESSION) json({ errno: -6 });
      else if (url.pathname === '/share/wxlist') json(list(form));
      else if (url.pathname === '/share/tplconfig')
        json({ errno: 0, data: { sign: 's1', timestamp: 1700000000 } });
      else if (url.pathname === '/api/sharedownload') json(download(url.searchParams, form));
      else if (url.pathname === '/file') sendLink(url);
      else response.writeHead(404).end();
    });

    function sendLink(link: URL): void {
      if (trouble.refuse === 'json') json({ error_code: 31326, error_msg: 'user is not authorized' });
      else if (trouble.refuse === 'forbidden' || request.headers['user-agent'] !== 'netdisk') {
        response
          .writeHead(403, { 'content-type': 'application/json' })
          .end('{"error_code":31362,"error_msg":"sign error"}');
      } else if (expired-- > 0) {
        response
          .writeHead(403, { 'content-type': 'application/json' })
          .end('{"error_code":31360,"error_msg":"expire time out error"}');
      } else {
        const location = `${storage.url.replace('127.0.0.1', 'localhost')}file?id=${link.searchParams.get('fid') ?? ''}`;
        response.writeHead(302, { location }).end();
      }
    }
  };
  const pan = await startServer(listener);

  function list(form: URLSearchParams): unknown {
    if (trouble.listErrno !== undefined) return { errno: trouble.listErrno };
    if (form.get('pwd') !== 'wwma')
      return { errno: -130, errtype: 'mispwd-9', data: { uk: UK, shareid: SHARE_ID, list: [] } };
    const isRoot = form.get('root') === '1';
    const folder = isRoot ? '' : (form.get('dir') ?? '').slice(root.length + 1);
    const names = new Map<string, unknown>();
    for (const [index, file] of files.entries()) {
      const prefix = folder === '' ? '' : `${folder}/`;
      if (!file.path.startsWith(prefix)) continue;
      const [name, ...rest] = file.path.slice(prefix.length).split('/');
      const isFolder = rest.length > 0;
      const entry = {
        path: `${root}/${prefix}${name!}`,
        server_filename: name,
        md5: 'g0000000000000000000000000000000',
      };
      // Text at the root, numbers below; ids beyond what a JavaScript number can hold.
      const numbers = isRoot
        ? { fs_id: String(index), isdir: isFolder ? '1' : '0', size: String(file.bytes.length) }
        : { fs_id: index, isdir: isFolder ? 1 : 0, size: file.bytes.length };
      names.set(name!, { ...entry, ...numbers });
    }
    const entries = [...names.values()];
    const page = Number(form.get('page'));
    const size = 2;
    return {
      errno: 0,
      data: {
        title: root,
        uk: UK,
        shareid: SHARE_ID,
        seckey: 'a-b_c~',
        has_more: entries.length > page * size,
        list: entries.slice((page - 1) * size, page * size),
      },
    };
  }

  function download(query: URLSearchParams, form: URLSearchParams): unknown {
    if (trouble.downloadErrno !== undefined) return { errno: trouble.downloadErrno };
    const { sekey } = JSON.parse(form.get('extra') ?? '{}') as { sekey?: string };
    if (sekey !== KEY || form.get('primaryid') !== SHARE_ID || form.get('uk') !== UK) return { errno: 118 };
    if (query.get('sign') !== 's1' || query.get('clienttype') !== '12') return { errno: 113 };
    const [id] = JSON.parse(form.get('fid_list') ?? '[]') as number[];
    return { errno: 0, list: [{ dlink: `${pan.url}file?fid=${id ?? ''}`, size: 1 }] };
  }

  return {
    url: pan.url,
    session: SESSION,
    requests,
    async close() {
      await pan.close();
      await storage.close();
    },
  };
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
