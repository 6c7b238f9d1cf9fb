import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { openRegular } from '../files/open-checked.ts';
import type { ByteSource } from '../inputs/byte-source.ts';
import { openZipMember } from '../inputs/zip-member.ts';
import { readNamedArray } from './named-array.ts';
import type { TopLevelElement } from './top-level.ts';

/** One of VQA 2.0's official files: the JSON, and the zip that it comes in. */
export interface OfficialFile {
  readonly zip: string;
  readonly json: string;
  readonly list: 'questions' | 'annotations';
}

export type OfficialSplit = 'train2014' | 'val2014' | 'test2015';

const ZIP_SPLITS = { train2014: 'Train', val2014: 'Val', test2015: 'Test' } as const;

export function questionsOf(split: OfficialSplit): OfficialFile {
  return {
    zip: `v2_Questions_${ZIP_SPLITS[split]}_mscoco.zip`,
    json: `v2_OpenEnded_mscoco_${split}_questions.json`,
    list: 'questions',
  };
}

export function annotationsOf(split: Exclude<OfficialSplit, 'test2015'>): OfficialFile {
  return {
    zip: `v2_Annotations_${ZIP_SPLITS[split]}_mscoco.zip`,
    json: `v2_mscoco_${split}_annotations.json`,
    list: 'annotations',
  };
}

export interface FoundFile {
  readonly path: string;
  /** For messages: the path, or zip and member. */
  readonly label: string;
  /** Elements of the file's list, each once, in file order. */
  readonly read: (signal?: AbortSignal) => AsyncGenerator<readonly TopLevelElement[]>;
}

/** The official file in a folder: the JSON where it is there, else its zip. Undefined where neither is. */
export async function findOfficial(folder: string, file: OfficialFile): Promise<FoundFile | undefined> {
  const json = join(folder, file.json);
  if (await isThere(json)) {
    return {
      path: json,
      label: json,
      read: signal => readNamedArray(json, file.list, readFileChunks(json, signal)),
    };
  }
  const zip = join(folder, file.zip);
  if (!(await isThere(zip))) return undefined;
  const label = `${zip}:${file.json}`;
  return {
    path: zip,
    label,
    read: signal => readNamedArray(label, file.list, readMemberChunks(zip, file.json, signal)),
  };
}

/** Throws ERR_INPUT, naming both forms, where an official file is missing that another one needs. */
export function requireOfficial(
  found: FoundFile | undefined,
  folder: string,
  file: OfficialFile,
  need: string,
): FoundFile {
  if (found !== undefined) return found;
  throw new LxmertDataError('ERR_INPUT', {
    what: `an official file is missing: ${need}`,
    where: folder,
    expected: `${file.zip}, or ${file.json} from it`,
    hint: 'fetch it from the official site of VQA 2.0, or run: lxmert-data fetch vqa-official',
  });
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

const CHUNK_BYTES = 1 << 20;

async function* readFileChunks(path: string, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  const file = await openRegular(path);
  const chunks: AsyncIterable<Buffer> = file.createReadStream({ highWaterMark: CHUNK_BYTES, signal });
  yield* chunks;
}

async function* readMemberChunks(
  zip: string,
  member: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const source: ByteSource = await openZipMember([zip], member);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const length = await source.read(chunk);
      if (length === 0) break;
      yield chunk.subarray(0, length);
    }
    await source.finish();
  } finally {
    await source.close();
  }
}
