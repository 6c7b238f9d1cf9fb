import { parentPort } from 'node:worker_threads';
import { SMALLEST_ROW_BYTES } from './block-pool.ts';
import { decodeRow, type DecodedRow } from '../decode-row.ts';
import { storedFeatureBytes } from '../feature-dtype.ts';
import type { ProblemCode, RowProblem } from '../../problem.ts';
import { bufferOver, RECORD_BYTES, type RowRecord, rowRecordAt } from '../row-record.ts';
import { FEATURE_BYTES, OBJ36, BUTD36 } from '../row-shape.ts';
import type { BlockReply, BlockRequest, LineResult } from './row-messages.ts';

/** Problems of one block that are sent back with their text; the rest is only counted. */
const MAX_TEXTS = 2000;

interface BlockMemory {
  readonly text: Buffer;
  readonly features: Uint8Array;
  readonly records: SharedArrayBuffer;
}

const memories = new Map<number, BlockMemory>();
const scratch = new Uint8Array(FEATURE_BYTES);
const spare: RowRecord = rowRecordAt(new ArrayBuffer(RECORD_BYTES), 0);

function memoryOf({ block }: BlockRequest): BlockMemory {
  let memory = memories.get(block.id);
  if (memory === undefined) {
    memory = {
      text: bufferOver(block.text),
      features: new Uint8Array(block.features, block.featuresAt),
      records: block.records,
    };
    memories.set(block.id, memory);
  }
  return memory;
}

function decodeBlock(request: BlockRequest): BlockReply {
  const { text, features, records } = memoryOf(request);
  const shape = request.shape === 'obj36' ? OBJ36 : BUTD36;
  const featureBytes = storedFeatureBytes(request.dtype);
  const lines: LineResult[] = [];
  const counts = new Map<ProblemCode, number>();
  let texts = 0;
  let slots = 0;
  for (let index = 0; index < request.spans.length; index += 2) {
    const line = text.subarray(request.spans[index], request.spans[index + 1]);
    const slot = line.length < SMALLEST_ROW_BYTES ? -1 : slots;
    const target = features.subarray(
      Math.max(slot, 0) * featureBytes,
      (Math.max(slot, 0) + 1) * featureBytes,
    );
    const problems: RowProblem[] = [];
    const report = (problem: RowProblem): void => {
      counts.set(problem.code, (counts.get(problem.code) ?? 0) + 1);
      if (texts++ < MAX_TEXTS) problems.push(problem);
    };
    const row: DecodedRow = decodeRow(
      line,
      shape,
      {
        features: target,
        scratch: request.dtype === 'f32' && slot >= 0 ? target : scratch,
        dtype: request.dtype,
        record: slot < 0 ? spare : rowRecordAt(records, slot * RECORD_BYTES),
      },
      report,
    );
    if (row.status === 'ok') slots++;
    lines.push({
      status: row.status,
      slot: row.status === 'ok' ? slot : -1,
      length: line.length,
      imgId: row.imgId,
      ...(row.parts === undefined ? {} : { parts: row.parts }),
      ...(row.status === 'blank' ? { blank: line.toString('latin1') } : {}),
      ...(problems.length === 0 ? {} : { problems }),
    });
  }
  return { lines, counts };
}

parentPort?.on('message', (request: BlockRequest) => {
  parentPort?.postMessage(decodeBlock(request));
});
