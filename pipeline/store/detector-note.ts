import { readFile, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { isErrno } from '../errors.ts';
import type { Emit } from '../events.ts';
import { writeAtomically } from '../files/atomic.ts';
import { outputExists } from '../files/checks.ts';
import { openRegular } from '../files/open-checked.ts';
import { parseJson } from '../json.ts';
import { v } from '../schema.ts';
import { type Detector, detectorSchema, UNKNOWN_DETECTOR } from './metadata.ts';

/*
 * A TSV of this form has no room for which detector made it: LXMERT's reader takes every line for a row, comments too.
 * So it is noted in a file beside it, `X.tsv.detector.json`, and comes back when a store is made of the TSV again.
 */

/** Bytes at the beginning of the TSV that the note is held to, besides its size. */
const HEAD_BYTES = 1 << 16;

const noteSchema = v.object({
  format: v.literal('lxmert-data detector of a TSV'),
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  head_crc32: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  detector: detectorSchema,
});

export function detectorNotePath(tsv: string): string {
  return `${tsv}.detector.json`;
}

/** Takes in a TSV as it is written, and writes the note; to be published before the TSV, which would be taken for any other without it. */
export class DetectorNote {
  readonly #tsv: string;
  readonly #detector: Detector;
  #bytes = 0;
  #crc = 0;

  private constructor(tsv: string, detector: Detector) {
    this.#tsv = tsv;
    this.#detector = detector;
  }

  /** The note of a TSV that will be written; undefined where there is nothing to note. */
  static plan(tsv: string, detector: Detector | undefined): DetectorNote | undefined {
    return detector === undefined || detector.weights === 'unknown'
      ? undefined
      : new DetectorNote(tsv, detector);
  }

  add(parts: readonly Buffer[]): void {
    for (const part of parts) {
      const head = part.subarray(0, Math.max(0, HEAD_BYTES - this.#bytes));
      if (head.length > 0) this.#crc = crc32(head, this.#crc);
      this.#bytes += part.length;
    }
  }

  /** Replaces the note of an earlier TSV, and no other file. Fails with ERR_OUTPUT_EXISTS where another one has the name. */
  async publish(): Promise<void> {
    const path = detectorNotePath(this.#tsv);
    const found = await readNote(path);
    if (found === 'other') throw outputExists(path);
    const note = {
      format: 'lxmert-data detector of a TSV',
      bytes: this.#bytes,
      head_crc32: this.#crc,
      detector: this.#detector,
    } satisfies v.InferOutput<typeof noteSchema>;
    const text = `${JSON.stringify(note, null, 2)}\n`;
    await writeAtomically(path, 'json', async file => await file.writeFile(text), { force: true });
  }
}

/** The detector that a TSV's note names; undefined without a note, and, with a warning, where that is of another file. */
export async function readDetectorNote(tsv: string, emit: Emit): Promise<Detector | undefined> {
  if (!/\.tsv$/i.test(tsv)) return undefined;
  const path = detectorNotePath(tsv);
  const note = await readNote(path);
  if (note === undefined) return undefined;
  if (note !== 'other' && (await isOf(tsv, note))) return note.detector;
  const message = `${path} is not about the ${tsv} that is there now, so it is left aside; remove it`;
  emit({ event: 'warning', message });
  return undefined;
}

/**
 * The detector of several TSVs together, as far as their notes agree; undefined where nothing is noted. One untrained TSV
 * makes the whole untrained.
 */
export async function readDetectorNotes(tsvs: readonly string[], emit: Emit): Promise<Detector | undefined> {
  const notes: (Detector | undefined)[] = [];
  for (const tsv of tsvs) notes.push(await readDetectorNote(tsv, emit));
  const untrained = notes.find(note => note?.weights === 'untrained');
  if (untrained !== undefined) return withoutCounts(untrained);
  const [first, ...others] = notes;
  if (first === undefined || others.some(other => other?.weights !== first.weights)) return undefined;
  return withoutCounts(first);
}

/** What is counted anew from the rows. */
function withoutCounts(detector: Detector): Detector {
  const entries = Object.entries(detector).filter(([key]) => key !== 'caffe_edge');
  return { ...UNKNOWN_DETECTOR, ...Object.fromEntries(entries) };
}

async function readNote(path: string): Promise<v.InferOutput<typeof noteSchema> | 'other' | undefined> {
  try {
    const parsed = v.safeParse(noteSchema, parseJson(await readFile(path, 'utf8')));
    return parsed.success ? parsed.output : 'other';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (error instanceof SyntaxError) return 'other';
    throw error;
  }
}

async function isOf(tsv: string, note: v.InferOutput<typeof noteSchema>): Promise<boolean> {
  if ((await stat(tsv)).size !== note.bytes) return false;
  const file = await openRegular(tsv);
  try {
    const head = Buffer.alloc(Math.min(HEAD_BYTES, note.bytes));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return crc32(head.subarray(0, bytesRead)) === note.head_crc32;
  } finally {
    await file.close();
  }
}
