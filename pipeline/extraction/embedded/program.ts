import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { errorText, LxmertDataError } from '../../errors.ts';
import { formatRow } from '../../rows/format-row.ts';
import { type ExtractorEvent, EXTRACTOR_EXIT, type Lot } from '../contract.ts';
import type { Device } from '../../detector/session.ts';
import { createEmbeddedExtractor, type EmbeddedExtractor, type ExtractorImage } from './extractor.ts';

/* The embedded detector as an extractor: docs/extractor.md. */

interface LotImage extends ExtractorImage {
  readonly lot: Lot;
}

process.exitCode = await main();

function tell(event: ExtractorEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function main(): Promise<number> {
  const values = parseWords();
  if (values === undefined) return EXTRACTOR_EXIT.usage;
  const number = (value: string | undefined): number | undefined =>
    value === undefined ? undefined : Number(value);
  let extractor: EmbeddedExtractor;
  try {
    extractor = await createEmbeddedExtractor({
      weights: values.weights ?? 'untrained',
      cacheDirectory: values.cache ?? '.',
      device: values.device as Device | undefined,
      rois: number(values.rois),
      batch: number(values.batch),
      threads: number(values.threads),
    });
  } catch (error) {
    if (!(error instanceof LxmertDataError)) throw error;
    process.stderr.write(`${error.message}\n`);
    if (error.code === 'ERR_USAGE') return EXTRACTOR_EXIT.usage;
    return error.code === 'ERR_DEVICE' ? EXTRACTOR_EXIT.device : EXTRACTOR_EXIT.weights;
  }
  const { name, weights, rois } = extractor.detector;
  tell({
    event: 'ready',
    detector: { name, weights, ...(rois === 300 ? {} : { rois }) },
    device: extractor.device,
  });
  try {
    await extractLots(extractor);
  } finally {
    await extractor.close();
  }
  return EXTRACTOR_EXIT.done;
}

function parseWords():
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

/** Results come in the order of the images, so each lot is finished before the next one's first result. */
async function extractLots(extractor: EmbeddedExtractor): Promise<void> {
  const waiting: LotImage[] = [];
  const images = async function* (): AsyncGenerator<LotImage> {
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() === '') continue;
      const lot = JSON.parse(line) as Lot;
      for (const { img_id: imgId, path } of lot.images) {
        const image = { imgId, path, lot };
        waiting.push(image);
        yield image;
      }
    }
  };
  let file: FileHandle | undefined;
  for await (const result of extractor.extract(images())) {
    const { lot, imgId } = waiting.shift()!;
    file ??= await open(lot.rows, 'a');
    if (result.type === 'row') {
      const row = Buffer.from(formatRow({ ...result.row, img_id: imgId }));
      await file.appendFile(row);
      tell({ event: 'row', lot: lot.lot, img_id: imgId, bytes: row.length });
    } else tell({ event: 'failed', lot: lot.lot, img_id: imgId, reason: result.reason });
    if (lot.images.at(-1)!.img_id !== imgId) continue;
    await file.sync();
    await file.close();
    file = undefined;
    tell({ event: 'lot', lot: lot.lot });
  }
}
