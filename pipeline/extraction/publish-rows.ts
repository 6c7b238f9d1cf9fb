import { basename } from 'node:path';
import type { StageContext } from '../events.ts';
import { writeAtomically } from '../files/atomic.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import { buildStore } from '../store/build-store.ts';
import { DetectorNote } from '../store/detector-note.ts';
import type { DetectorName } from './contract.ts';
import { openOrderedRows } from './ordered-rows.ts';
import type { ExtractPlan } from './plan-extraction.ts';
import type { RowFolder } from './row-folder.ts';

/** Publishes the rows of a finished extraction, in the order of the plan, as a store or a TSV. False where rows were rejected. */
export async function publishRows(
  { out, images, force, verdicts = {} }: ExtractPlan,
  folder: RowFolder,
  detector: DetectorName | undefined,
  context: StageContext,
): Promise<boolean> {
  const ids = images.map(({ img_id: id }) => id);
  const source = openOrderedRows(folder, ids, sourceNameOf(out));
  try {
    return await publishSource(source, { out, force, detector, verdicts }, context);
  } finally {
    await source.close();
  }
}

/** The name that a store gives the rows it was made of. */
export function sourceNameOf(out: string): string {
  return `${basename(out).replace(/\.(safetensors|tsv)$/, '')}.tsv`;
}

export interface PublishedFile {
  /** X.safetensors or X.tsv. */
  readonly out: string;
  readonly force: boolean;
  readonly detector: DetectorName | undefined;
  /** What is known of weights, by their sha256. */
  readonly verdicts: ExtractPlan['verdicts'];
}

/** Publishes ordered rows as a store or a TSV. False where rows were rejected. */
export async function publishSource(
  source: ByteSource,
  { out, force, detector, verdicts = {} }: PublishedFile,
  context: StageContext,
): Promise<boolean> {
  if (out.endsWith('.tsv')) {
    await copyRows(source, out, { force, note: DetectorNote.plan(out, detector) });
    return true;
  }
  const known = detector === undefined ? undefined : verdicts[detector.weights]?.verdict;
  const stamped = known === undefined ? detector : { ...detector!, known_answer: known };
  const plan = { out, dtype: 'f32', skipBad: false, force, detector: stamped } as const;
  return (await buildStore([source], plan, context)).store !== null;
}

interface CopyOptions {
  readonly force: boolean;
  readonly note: DetectorNote | undefined;
}

async function copyRows(source: ByteSource, out: string, { force, note }: CopyOptions): Promise<void> {
  await writeAtomically(
    out,
    'tsv',
    async file => {
      const chunk = Buffer.allocUnsafe(1 << 20);
      for (let read = await source.read(chunk); read > 0; read = await source.read(chunk)) {
        await file.writeFile(chunk.subarray(0, read));
        note?.add([chunk.subarray(0, read)]);
      }
      await note?.publish();
    },
    { force },
  );
}
