import type { HttpClient } from '../net/client.ts';
import type { FileShape } from '../net/file-shape.ts';
import type { RemoteFile } from '../net/remote-file.ts';

/** Where a mirror's manifest entry says a file lies: exactly one of the three. */
export interface FilePlace {
  readonly path?: string | undefined;
  readonly id?: string | undefined;
  readonly link?: string | undefined;
}

export interface LocateContext {
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  /** Secrets come from here: GOOGLE_API_KEY, HF_TOKEN, BAIDU_COOKIE. */
  readonly environment: NodeJS.ProcessEnv;
}

export interface LocateRequest {
  readonly place: FilePlace;
  readonly shape: FileShape;
}

/** Finds files on one mirror; asks for listings where the mirror has no fixed addresses. Throws MirrorFault. */
export interface MirrorProvider {
  readonly locate: (request: LocateRequest) => Promise<RemoteFile>;
  /** The parts of a cut file, in the order of their names; `pattern` ends in `*`. */
  readonly locateParts?: ((pattern: string, shape: FileShape) => Promise<readonly RemoteFile[]>) | undefined;
}

/** Joins a path to an address whose last segment is a folder, keeping the path's slashes and nothing else special. */
export function joinUrl(base: string, path: string): string {
  const root = base.endsWith('/') ? base : `${base}/`;
  return new URL(path.split('/').map(encodeURIComponent).join('/'), root).href;
}
