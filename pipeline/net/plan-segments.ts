import type { Segment } from './part-journal.ts';

/** Asked for first where several connections may be used, because the size is not known before. */
export const FIRST_SEGMENT_BYTES = 16 << 20;
const MAX_SEGMENT_BYTES = 1 << 30;
/** A segment is this part of what a connection would have to fetch of the rest. */
const SHARES = 2;

/**
 * Cuts a file of `total` bytes, of which the running request brings bytes 0 to `firstEnd`. Segments become smaller towards
 * the end, so that connections of different speed end together; the first are large, so that pauses between requests,
 * each of which may need a new connection, do not count.
 */
export function planSegments(total: number, firstEnd: number, connections: number): Segment[] {
  const segments: Segment[] = [{ start: 0, end: firstEnd, done: 0 }];
  for (let start = firstEnd; start < total;) {
    const share = Math.ceil((total - start) / (connections * SHARES));
    const size = connections === 1 ? total : clamp(share, FIRST_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
    const end = Math.min(start + size, total);
    segments.push({ start, end, done: start });
    start = end;
  }
  return segments;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
