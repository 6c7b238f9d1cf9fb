import { availableParallelism } from 'node:os';
import { LxmertDataError } from '../errors.ts';
import { type Answer, ask } from '../workers/answers.ts';
import { WorkerPool } from '../workers/pool.ts';
import type { CheckRequest } from './image-check-worker.ts';
import { PixelBudget } from './pixel-budget.ts';

/** Decoding takes a few hundredths of a second; these keep up with several GPUs. */
const MAX_THREADS = 8;

export interface ImageChecker {
  /** Why an image is refused, in the words of the embedded detector; undefined where it is good. */
  check(path: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Decodes images in threads, before extractors that decode by themselves get them: one rule for all of them. */
export function startImageChecker(
  threads = Math.min(MAX_THREADS, Math.max(1, availableParallelism() - 1)),
): ImageChecker {
  const pool = new WorkerPool<CheckRequest, Answer>(import.meta.url, './image-check-worker', threads);
  const budget = new PixelBudget();
  return {
    check: async path => {
      const pixels = await ask<CheckRequest, number>(pool, { type: 'measure', path });
      try {
        await budget.run(pixels, async () => await ask(pool, { type: 'check', path }));
        return undefined;
      } catch (error) {
        return imageFault(error);
      }
    },
    close: async () => await pool.close(),
  };
}

/** What is wrong with an image, in one line; throws errors that are not an image's. */
export function imageFault(error: unknown): string {
  if (!(error instanceof LxmertDataError) || error.code !== 'ERR_IMAGE') throw error;
  const { what, got } = error.parts;
  return got === undefined ? what : `${what}: ${got}`;
}
