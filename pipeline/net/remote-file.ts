import type { HttpResponse } from './client.ts';
import type { FileShape } from './file-shape.ts';
import type { MirrorFault } from './mirror-fault.ts';

export interface OpenRequest {
  /** Range, If-Range. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The last try failed: do not reuse a link that may have expired. */
  readonly fresh: boolean;
}

/** A file on a mirror: how to ask for its bytes, and what the mirror itself says of it. */
export interface RemoteFile {
  /** Stable over runs, without secrets: a partial file is only continued from the same one. */
  readonly identity: string;
  /** Where it is, for messages; without secrets. */
  readonly description: string;
  readonly shape: FileShape;
  readonly sizeBytes?: number | undefined;
  readonly sha256?: string | undefined;
  readonly md5?: string | undefined;
  /** Concurrent requests that this server is known to allow. */
  readonly maxConnections: number;
  /** One try, no retries. Throws MirrorFault where the mirror says why not. */
  readonly open: (request: OpenRequest) => Promise<HttpResponse>;
  /** Reads the mirror's reason from a page that came instead of the file. */
  readonly explainPage?: ((text: string, status: number) => MirrorFault | undefined) | undefined;
}
