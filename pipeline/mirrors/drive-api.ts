import { v } from '../schema.ts';
import { readBody } from '../net/client.ts';
import type { HttpClient, HttpResponse } from '../net/client.ts';
import { faultOfStatus } from '../net/check-response.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { OpenRequest } from '../net/remote-file.ts';
import { ambiguousName, type DriveId } from './drive-site.ts';
import type { FileLocation } from './mirror.ts';

export interface DriveApi {
  readonly base: string;
  readonly key: string;
  readonly client: HttpClient;
  readonly allowHttp?: boolean | undefined;
  readonly signal: AbortSignal;
}

export interface DriveApiFile {
  readonly id: string;
  readonly sizeBytes?: number | undefined;
  readonly md5?: string | undefined;
  readonly resourceKey?: string | undefined;
}

const FIELDS = 'id,name,mimeType,size,md5Checksum,resourceKey,shortcutDetails';
const FOLDER = 'application/vnd.google-apps.folder';

const fileSchema = v.object({
  id: v.string(),
  name: v.optional(v.string()),
  mimeType: v.optional(v.string()),
  size: v.optional(v.string()),
  md5Checksum: v.optional(v.string()),
  resourceKey: v.optional(v.string()),
  shortcutDetails: v.optional(
    v.object({ targetId: v.string(), targetMimeType: v.string(), targetResourceKey: v.optional(v.string()) }),
  ),
});
const listSchema = v.object({ files: v.array(fileSchema), nextPageToken: v.optional(v.string()) });
type ApiFile = v.InferOutput<typeof fileSchema>;

/** Finds a file by path below `root`, or by id, with size and md5 as Drive knows them. Throws MirrorFault. */
export async function findWithKey(
  api: DriveApi,
  root: DriveId | undefined,
  { id, path = '' }: FileLocation,
): Promise<DriveApiFile> {
  if (id !== undefined) return describe(await getFile(api, id, undefined));
  if (root === undefined) throw new MirrorFault('unsupported', 'the mirror has no folder');
  let found: ApiFile = { ...root, mimeType: FOLDER };
  const names = path.split('/');
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1;
    const children = await listChildren(api, found, name);
    // The service compares names without regard to case.
    const [match, second] = children.filter(
      child => child.name === name && (child.mimeType === FOLDER) !== isLast,
    );
    const soFar = names.slice(0, index + 1).join('/');
    if (match === undefined) throw new MirrorFault('gone', `no "${soFar}" in the Drive folder`);
    if (second !== undefined) throw ambiguousName(soFar);
    found = match;
  }
  return describe(found);
}

/** The bytes of a file; there is no virus-scan page on this way. */
export async function openWithKey(
  api: DriveApi,
  file: DriveApiFile,
  request: OpenRequest,
): Promise<HttpResponse> {
  const response = await api.client.request({
    url: apiUrl(api, `drive/v3/files/${file.id}`, { alt: 'media', supportsAllDrives: 'true' }),
    headers: { ...request.headers, ...apiHeaders(api, file) },
    allowHttp: api.allowHttp,
    signal: request.signal,
  });
  if (response.status < 400 || response.status === 416) return response;
  throw explainApiError(response, await readBody(response, 256 << 10, request.signal));
}

async function listChildren(api: DriveApi, parent: ApiFile, name: string): Promise<ApiFile[]> {
  const children: ApiFile[] = [];
  let pageToken: string | undefined;
  do {
    const url = apiUrl(api, 'drive/v3/files', {
      q: `'${parent.id}' in parents and name = '${name.replace(/[\\']/g, '\\$&')}' and trashed = false`,
      fields: `files(${FIELDS}),nextPageToken,incompleteSearch`,
      pageSize: '1000',
      supportsAllDrives: 'true',
      includeItemsFromAllDrives: 'true',
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    const list = await getJson(api, url, parent, listSchema);
    children.push(...list.files.map(followShortcut));
    pageToken = list.nextPageToken;
  } while (pageToken !== undefined);
  return children;
}

async function getFile(api: DriveApi, id: string, resourceKey: string | undefined): Promise<ApiFile> {
  const url = apiUrl(api, `drive/v3/files/${id}`, { fields: FIELDS, supportsAllDrives: 'true' });
  return getJson(api, url, { id, resourceKey }, fileSchema);
}

async function getJson<T extends v.GenericSchema>(
  api: DriveApi,
  url: string,
  file: DriveApiFile,
  schema: T,
): Promise<v.InferOutput<T>> {
  const page = await api.client.readPage({
    url,
    headers: apiHeaders(api, file),
    allowHttp: api.allowHttp,
    signal: api.signal,
  });
  if (page.status !== 200) throw explainApiError(page, page.text);
  try {
    return v.parse(schema, JSON.parse(page.text));
  } catch (cause) {
    throw new MirrorFault('not-the-file', 'the Drive API answers something unexpected', { cause });
  }
}

function followShortcut(file: ApiFile): ApiFile {
  const target = file.shortcutDetails;
  if (target === undefined) return file;
  return {
    id: target.targetId,
    name: file.name,
    mimeType: target.targetMimeType,
    resourceKey: target.targetResourceKey,
  };
}

function describe(file: ApiFile): DriveApiFile {
  return {
    id: file.id,
    sizeBytes: file.size === undefined ? undefined : Number(file.size),
    md5: file.md5Checksum,
    resourceKey: file.resourceKey,
  };
}

function apiUrl(api: DriveApi, path: string, query: Record<string, string>): string {
  const url = new URL(path, api.base);
  url.search = new URLSearchParams(query).toString();
  return url.href;
}

/** The key travels in a header, so that it shows up in no address and no log. */
function apiHeaders(api: DriveApi, file: DriveApiFile): Record<string, string> {
  return {
    'x-goog-api-key': api.key,
    ...(file.resourceKey === undefined
      ? {}
      : { 'x-goog-drive-resource-keys': `${file.id}/${file.resourceKey}` }),
  };
}

const QUOTA = ['downloadQuotaExceeded', 'quotaExceeded', 'dailyLimitExceeded'];
const BUSY = ['rateLimitExceeded', 'userRateLimitExceeded'];

function explainApiError(
  response: { status: number; headers: HttpResponse['headers'] },
  text: string,
): MirrorFault {
  const schema = v.object({
    error: v.object({ message: v.string(), errors: v.optional(v.array(v.object({ reason: v.string() }))) }),
  });
  let reason = '';
  let message = '';
  try {
    const { error } = v.parse(schema, JSON.parse(text));
    reason = error.errors?.[0]?.reason ?? '';
    message = error.message;
  } catch {
    return faultOfStatus(response.status, response.headers);
  }
  const answer = `the Drive API answers ${response.status}: ${message}`;
  if (QUOTA.includes(reason)) return new MirrorFault('quota', answer);
  if (BUSY.includes(reason) || response.status === 429 || response.status >= 500) {
    return new MirrorFault('busy', answer, {
      retryAfterMs: faultOfStatus(response.status, response.headers).retryAfterMs,
    });
  }
  return new MirrorFault(response.status === 404 ? 'gone' : 'forbidden', answer);
}
