import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { errorText, LxmertDataError } from '../../errors.ts';
import { nameSystemError } from '../../files/system-error.ts';
import { formatRow } from '../../rows/format-row.ts';
import {
  type ExtractorEvent as ContractEvent,
  EXTRACTOR_EXIT,
  type ExtractorStep,
  type ImageBatch,
  imageBatchSchema,
} from '../contract.ts';
import { v } from '../../schema.ts';
import {
  createEmbeddedExtractor,
  type EmbeddedExtractor,
  type ExtractorEvent,
  type ExtractorImage,
} from './extractor.ts';

/* The embedded detector as an extractor: docs/extractor.md. */

/** Steps of an image as the contract names them; the last one is its row. */
const STEPS: Readonly<Record<string, ExtractorStep['step'] | undefined>> = {
  prepared: 'decoded',
  proposed: 'proposed',
  classified: 'classified',
};

interface QueuedImage extends ExtractorImage {
  readonly batch: ImageBatch;
}

process.exitCode = await main();

function emit(event: ContractEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function main(): Promise<number> {
  const values = parseArguments();
  if (values === undefined) return EXTRACTOR_EXIT.usage;
  if (!['auto', 'cpu'].includes(values.device ?? 'auto')) {
    process.stderr.write(`this detector runs on the CPU only, not on "${values.device ?? ''}"\n`);
    return EXTRACTOR_EXIT.device;
  }
  const number = (value: string | undefined): number | undefined =>
    value === undefined ? undefined : Number(value);
  let extractor: EmbeddedExtractor;
  emit({ event: 'progress', step: 'loading' });
  try {
    extractor = await createEmbeddedExtractor({
      weights: values.weights ?? 'untrained',
      cacheDirectory: values.cache ?? '.',
      rois: number(values.rois),
      batch: number(values.batch),
      threads: number(values.threads),
      onConverted: (done, total) => emit({ event: 'progress', step: 'converting', done, total }),
    });
    emit({ event: 'progress', step: 'loading' });
  } catch (error) {
    return explainFailure(error);
  }
  const { name, weights, rois } = extractor.detector;
  emit({
    event: 'ready',
    detector: { name, weights, ...(rois === 300 ? {} : { rois }) },
    device: 'cpu',
  });
  try {
    await extractBatches(extractor);
    return EXTRACTOR_EXIT.done;
  } catch (error) {
    return explainFailure(error);
  } finally {
    await extractor.close();
  }
}

/** Writes a failure that is known as a sentence, and returns the exit code; a defect keeps its stack. */
function explainFailure(failure: unknown): number {
  const error = nameSystemError(failure);
  if (!(error instanceof LxmertDataError) || error.code === 'ERR_INTERNAL') throw failure;
  process.stderr.write(`${error.message}\n`);
  if (error.code === 'ERR_USAGE') return EXTRACTOR_EXIT.usage;
  // Neither a full disk nor a lack of memory goes away by itself.
  return ['ERR_DEVICE', 'ERR_IO', 'ERR_NO_SPACE'].includes(error.code)
    ? EXTRACTOR_EXIT.device
    : EXTRACTOR_EXIT.weights;
}

function parseArguments():
  Partial<Record<'weights' | 'cache' | 'device' | 'rois' | 'batch' | 'threads', string>> | undefined {
  const text = { type: 'string' } as const;
  const options = { weights: text, cache: text, device: text, rois: text, batch: text, threads: text };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    return undefined;
  }
}

/** Results come in the order of the images, so each batch is finished before the first result of the next one. */
async function extractBatches(extractor: EmbeddedExtractor): Promise<void> {
  const waiting: QueuedImage[] = [];
  const images = async function* (): AsyncGenerator<QueuedImage> {
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() === '') continue;
      const batch = v.parse(imageBatchSchema, JSON.parse(line));
      for (const { img_id: imgId, path } of batch.images) {
        const image = { imgId, path, batch };
        waiting.push(image);
        yield image;
      }
    }
  };
  let file: FileHandle | undefined;
  const emitStep = ({ event, imgId }: ExtractorEvent): void => {
    const step = STEPS[event];
    if (step !== undefined) emit({ event: 'progress', step, img_id: imgId });
  };
  for await (const result of extractor.extract(images(), emitStep)) {
    const { batch, imgId } = waiting.shift()!;
    const { lot } = batch;
    file ??= await open(batch.rows, 'a');
    if (result.type === 'row') {
      const row = Buffer.from(formatRow({ ...result.row, img_id: imgId }));
      await file.appendFile(row);
      emit({ event: 'row', lot, img_id: imgId, bytes: row.length });
    } else emit({ event: 'failed', lot, img_id: imgId, reason: result.reason });
    if (batch.images.at(-1)!.img_id !== imgId) continue;
    await file.sync();
    await file.close();
    file = undefined;
    emit({ event: 'lot', lot });
  }
}
