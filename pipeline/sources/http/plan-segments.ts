import type { Segment } from './part-journal.ts';

/** Asked for first where several connections may be used, because the size is not known before. */
export const FIRST_SEGMENT_BYTES = 16 << 20;
const MAX_SEGMENT_BYTES = 1 << 30;

/**
 * Cuts a file of `total` bytes, of which the running request brings bytes 0 to `firstEnd`. Segments are many, so that
 * connections of different speed end together, and large, so that the pauses between requests do not count.
 */
export function planSegments(total: number, firstEnd: number, connections: number): Segment[] {
  const rest = total - firstEnd;
  const even = Math.ceil(rest / (connections * 32));
  const size = connections === 1 ? rest : Math.min(Math.max(even, FIRST_SEGMENT_BYTES), MAX_SEGMENT_BYTES);
  const segments: Segment[] = [{ start: 0, end: firstEnd, done: 0 }];
  for (let start = firstEnd; start < total; start += size) {
    segments.push({ start, end: Math.min(start + size, total), done: start });
  }
  return segments;
}
