import { v } from '../schema.ts';

/*
 * The contract between host and extractor: docs/extractor.md. The host writes one batch of images a line to standard input
 * (key `lot`), the extractor one event a line to standard output, and rows of the published form to the file of the batch.
 */

export const imageBatchSchema = v.object({
  /** Number of the batch. */
  lot: v.number(),
  /** File to append rows to, as the extractor sees it. */
  rows: v.string(),
  /** Paths as the extractor sees them. */
  images: v.array(v.object({ img_id: v.string(), path: v.string() })),
});

export type ImageBatch = v.InferOutput<typeof imageBatchSchema>;

/** Which network made the rows. */
const detectorSchema = v.object({
  name: v.string(),
  /** sha256 of the weights file; `untrained` for weights made by a formula. */
  weights: v.pipe(v.string(), v.regex(/^(unknown|untrained|[0-9a-f]{64})$/)),
  /** Regions looked at, where not the network's own 300. */
  rois: v.optional(v.number()),
  /** Digest of the container image that the network ran in; added by the host. */
  image: v.optional(v.string()),
});

const eventSchema = v.variant('event', [
  v.object({
    event: v.literal('ready'),
    detector: detectorSchema,
    device: v.optional(v.string(), 'unknown'),
  }),
  v.object({ event: v.literal('row'), lot: v.number(), img_id: v.string(), bytes: v.optional(v.number()) }),
  v.object({ event: v.literal('failed'), lot: v.number(), img_id: v.string(), reason: v.string() }),
  v.object({ event: v.literal('lot'), lot: v.number() }),
  v.object({ event: v.literal('log'), message: v.string() }),
]);

export type DetectorName = v.InferOutput<typeof detectorSchema>;
export type ExtractorEvent = v.InferOutput<typeof eventSchema>;

/** Exit codes of an extractor. */
export const EXTRACTOR_EXIT = { done: 0, failed: 1, usage: 2, weights: 3, device: 4 } as const;

/** Reads one line of an extractor; a line that is not an event of the contract is logged. */
export function parseExtractorEvent(line: string): ExtractorEvent {
  const parsed = v.safeParse(eventSchema, parseJson(line));
  return parsed.success ? parsed.output : { event: 'log', message: line };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
