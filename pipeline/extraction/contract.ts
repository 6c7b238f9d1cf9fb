/*
 * What a host and an extractor say to each other: docs/extractor.md. The host writes one lot a line on standard input, the extractor one event a
 * line on standard output and rows of the published form to the lot's file.
 */

export interface LotImage {
  readonly img_id: string;
  /** As the extractor sees it. */
  readonly path: string;
}

export interface Lot {
  readonly lot: number;
  /** File to append rows to, as the extractor sees it. */
  readonly rows: string;
  readonly images: readonly LotImage[];
}

/** Which network made the rows. `weights` is their sha256, `untrained` or `unknown`. */
export interface DetectorName {
  readonly name: string;
  readonly weights: string;
  /** Regions looked at where not the network's own 300. */
  readonly rois?: number;
  /** Digest of the container image that the network ran in; added by the host. */
  readonly image?: string;
}

export type ExtractorEvent =
  | { readonly event: 'ready'; readonly detector: DetectorName; readonly device: string }
  | { readonly event: 'row'; readonly lot: number; readonly img_id: string; readonly bytes: number }
  | { readonly event: 'failed'; readonly lot: number; readonly img_id: string; readonly reason: string }
  | { readonly event: 'lot'; readonly lot: number }
  | { readonly event: 'log'; readonly message: string };

/** Exit codes of an extractor. */
export const EXTRACTOR_EXIT = { done: 0, failed: 1, usage: 2, weights: 3, device: 4 } as const;

/** Reads one line of an extractor; everything that is no event of the contract is something it logs. */
export function parseExtractorEvent(line: string): ExtractorEvent {
  const value = parseJson(line);
  if (typeof value === 'object' && value !== null) {
    const { event, lot, img_id: imgId } = value as Record<string, unknown>;
    const named = typeof lot === 'number' && typeof imgId === 'string';
    const known =
      (event === 'row' && named) ||
      (event === 'failed' && named && typeof (value as Record<string, unknown>)['reason'] === 'string') ||
      (event === 'lot' && typeof lot === 'number') ||
      (event === 'ready' && isDetector((value as Record<string, unknown>)['detector'])) ||
      (event === 'log' && typeof (value as Record<string, unknown>)['message'] === 'string');
    if (known) return value as ExtractorEvent;
  }
  return { event: 'log', message: line };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isDetector(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name, weights } = value as Record<string, unknown>;
  return (
    typeof name === 'string' &&
    typeof weights === 'string' &&
    /^(unknown|untrained|[0-9a-f]{64})$/.test(weights)
  );
}
