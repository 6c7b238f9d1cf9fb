import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { v } from '../../schema.ts';

const KEYS = fileURLToPath(new URL('../../../manifests/detector-keys.json', import.meta.url));

const step = v.variant('do', [
  v.strictObject({ do: v.literal('order-anchors'), group: v.number() }),
  v.strictObject({ do: v.literal('zero-rows-before'), rows: v.number() }),
  v.strictObject({ do: v.literal('last-row-first') }),
]);

const tensor = v.strictObject({
  blob: v.string(),
  key: v.string(),
  shape: v.array(v.number()),
  steps: v.optional(v.array(step)),
});

const keysSchema = v.object({
  keys_version: v.literal(1),
  containers: v.array(v.string()),
  ignored: v.array(v.string()),
  spellings: v.array(v.tuple([v.string(), v.string()])),
  convolution: v.record(v.string(), v.string()),
  batch_norm_factor: v.object({ blob: v.string(), value: v.number() }),
  convolutions: v.array(
    v.strictObject({
      convolution: v.string(),
      batch_norm: v.string(),
      scale: v.string(),
      key: v.string(),
    }),
  ),
  layouts: v.record(
    v.string(),
    v.strictObject({ title: v.string(), recognised_by: v.string(), tensors: v.array(tensor) }),
  ),
  other_networks: v.array(v.strictObject({ key: v.string(), name: v.string() })),
  files: v.record(
    v.string(),
    v.strictObject({ boxes: v.picklist(['36', '10-100', 'undecided']), layout: v.string() }),
  ),
});

/** `manifests/detector-keys.json`: how other programs' files name and lay out the detector's weights. */
export type DetectorKeys = v.InferOutput<typeof keysSchema>;
export type LayoutTensor = v.InferOutput<typeof tensor>;
export type LayoutStep = v.InferOutput<typeof step>;

let known: DetectorKeys | undefined;

export async function loadDetectorKeys(): Promise<DetectorKeys> {
  known ??= v.parse(keysSchema, JSON.parse(await readFile(KEYS, 'utf8')));
  return known;
}

/** Whether a name fits a pattern in which `*` stands for anything. */
export function fitsPattern(name: string, pattern: string): boolean {
  const parts = pattern.split('*').map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

/** Blob of a name such as `batch_norm/0` for one convolution. */
export function blobOf(entry: DetectorKeys['convolutions'][number], place: string): string {
  const [role = '', index = ''] = place.split('/');
  const layers: Readonly<Record<string, string>> = {
    convolution: entry.convolution,
    batch_norm: entry.batch_norm,
    scale: entry.scale,
  };
  return `${layers[role] ?? ''}/${index}`;
}
