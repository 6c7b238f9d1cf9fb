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

const MAX_NAME_CHARS = 200;
const MAX_MESSAGE_CHARS = 1000;
const text = (chars: number) =>
  v.pipe(
    v.string(),
    v.transform(value => (value.length > chars ? `${value.slice(0, chars)}…` : value)),
  );

/** Which network made the rows. Keys that are not named here are dropped. */
export const detectorSchema = v.object({
  name: v.pipe(v.string(), v.maxLength(MAX_NAME_CHARS)),
  /** sha256 of the weights file; `untrained` for weights made by a formula. */
  weights: v.pipe(v.string(), v.regex(/^(unknown|untrained|[0-9a-f]{64})$/)),
  /** Regions looked at, where not the network's own 300. */
  rois: v.optional(v.number()),
  /** Settings of the container's own Caffe that differ from those of the published features, by name. */
  settings: v.optional(v.record(v.picklist(['nms', 'short_side', 'long_side']), v.number())),
  /** Digest of the container image that the network ran in; added by the host. */
  image: v.optional(v.pipe(v.string(), v.maxLength(MAX_NAME_CHARS))),
});

const eventSchema = v.variant('event', [
  v.object({
    event: v.literal('ready'),
    detector: detectorSchema,
    device: v.optional(text(MAX_NAME_CHARS), 'unknown'),
  }),
  v.object({ event: v.literal('row'), lot: v.number(), img_id: v.string(), bytes: v.optional(v.number()) }),
  v.object({
    event: v.literal('failed'),
    lot: v.number(),
    img_id: v.string(),
    reason: text(MAX_MESSAGE_CHARS),
  }),
  v.object({ event: v.literal('lot'), lot: v.number() }),
  v.object({ event: v.literal('log'), message: text(MAX_MESSAGE_CHARS) }),
  v.object({
    event: v.literal('progress'),
    step: v.picklist(['loading', 'converting', 'decoded', 'proposed', 'classified']),
    /** Of the steps of an image. */
    img_id: v.optional(v.string()),
    /** How far the step is, where that is known. */
    done: v.optional(v.pipe(v.number(), v.minValue(0))),
    total: v.optional(v.pipe(v.number(), v.minValue(1))),
  }),
]);

export type DetectorName = v.InferOutput<typeof detectorSchema>;
export type ExtractorEvent = v.InferOutput<typeof eventSchema>;
/** What an extractor is doing; optional. */
export type ExtractorStep = Extract<ExtractorEvent, { event: 'progress' }>;

/** Exit codes of an extractor. */
export const EXTRACTOR_EXIT = { done: 0, failed: 1, usage: 2, weights: 3, device: 4 } as const;

/** Reads one line of an extractor; a line that is not an event of the contract is logged. */
export function parseExtractorEvent(line: string): ExtractorEvent {
  const parsed = v.safeParse(eventSchema, parseJson(line));
  return parsed.success ? parsed.output : { event: 'log', message: v.parse(text(MAX_MESSAGE_CHARS), line) };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
