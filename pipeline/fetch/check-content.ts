import { createHash } from 'node:crypto';
import { type FileHandle, readFile, stat } from 'node:fs/promises';
import { LxmertDataError } from '../errors.ts';
import { openRegular } from '../files/open-checked.ts';
import { parseElement, parseEntry, readTopLevel } from '../annotations/top-level.ts';
import type { Asset } from '../manifest/load.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { checkWeights } from './check-weights.ts';

export interface FileDigest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export async function digestFile(path: string, signal?: AbortSignal): Promise<FileDigest> {
  const file = await openRegular(path);
  return await digestHandle(file, signal).finally(() => file.close());
}

/** Digest of all that an open file holds. */
export async function digestHandle(file: FileHandle, signal?: AbortSignal): Promise<FileDigest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const stream = file.createReadStream({ start: 0, highWaterMark: 1 << 20, autoClose: false, signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

type Plain = Exclude<Asset, { kind: 'features' }>;

/**
 * Whether a file is what the manifest expects of the asset: size, hash, first bytes, and every record of a JSON.
 * Throws MirrorFault `wrong-content` or `wrong-hash`.
 */
export async function checkContent(path: string, asset: Plain, digest: FileDigest): Promise<void> {
  if (asset.size !== undefined && asset.size !== digest.sizeBytes) {
    throw wrong(`${digest.sizeBytes} bytes, expected ${asset.size}`);
  }
  if (asset.sha256 !== undefined && asset.sha256 !== digest.sha256) {
    throw new MirrorFault('wrong-hash', `sha256 ${digest.sha256}, expected ${asset.sha256}`);
  }
  if (asset.kind === 'weights') {
    await checkWeights(path, asset.format).catch(rethrowInput);
    return;
  }
  const records = await countRecords(path, asset.schema).catch(rethrowInput);
  if (asset.records !== undefined && records !== asset.records) {
    throw wrong(`${records} records, expected ${asset.records}`);
  }
}

/** What is wrong with the file is the mirror's fault. */
function rethrowInput(error: unknown): never {
  const isInput = error instanceof LxmertDataError && ['ERR_INPUT', 'ERR_ZIP'].includes(error.code);
  throw isInput ? wrong(error.message.replaceAll(/\n\s*/g, '; '), error) : error;
}

type Schema = Extract<Plain, { schema: unknown }>['schema'];

/** Fields without which LXMERT cannot load a record; it takes questions without a label too. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  vqa: ['img_id', 'question_id', 'sent'],
  'vqa-test': ['img_id', 'question_id', 'sent'],
  gqa: ['img_id', 'question_id', 'sent'],
  'gqa-test': ['img_id', 'question_id', 'sent'],
  nlvr2: ['identifier', 'img0', 'img1', 'label', 'sent', 'uid'],
  pretrain: ['img_id', 'sentf'],
  'all-ans': ['ans', 'dsets'],
};

async function countRecords(path: string, schema: Schema): Promise<number> {
  if (schema === 'lines') {
    const text = await readFile(path, 'utf8');
    return text.split('\n').filter(line => line.trim() !== '').length;
  }
  let count = 0;
  if (schema === 'ans2label') {
    for await (const elements of readTopLevel(path, 'object')) {
      for (const element of elements) parseEntry(path, element);
      count += elements.length;
    }
    return count;
  }
  const fields = FIELDS[schema] ?? [];
  for await (const elements of readTopLevel(path, 'array')) {
    for (const element of elements) {
      const record = parseElement(path, element);
      const isFit = schema === 'label2ans' ? typeof record === 'string' : hasFields(record, fields);
      if (!isFit) {
        const got = element.text.trim().slice(0, 200);
        throw wrong(`record ${count + 1} is no ${schema} record (${fields.join(', ')}): ${got}`);
      }
      count++;
    }
  }
  return count;
}

function hasFields(record: unknown, fields: readonly string[]): boolean {
  return typeof record === 'object' && record !== null && fields.every(field => Object.hasOwn(record, field));
}

export async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

function wrong(message: string, cause?: unknown): MirrorFault {
  return new MirrorFault('wrong-content', message, { cause });
}
