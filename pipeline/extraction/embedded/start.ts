import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkRuntime } from './check-runtime.ts';
import { startExtractorProcess, type StartExtractor } from '../process.ts';

export interface EmbeddedStartOptions {
  /** Path of the caffemodel, or `untrained`. */
  readonly weights: string;
  readonly cacheDirectory: string;
  readonly rois?: number | undefined;
  readonly batch?: number | undefined;
  readonly threads?: number | undefined;
}

/** Runs the embedded detector in a process of its own, so that it can die without us. Throws ERR_LIBRARY where its runtime is missing. */
export function startEmbeddedExtractor(options: EmbeddedStartOptions): StartExtractor {
  checkRuntime();
  const program = fileURLToPath(new URL(`./program${extname(import.meta.filename)}`, import.meta.url));
  const args = Object.entries(options).flatMap(([name, value]: [string, string | number | undefined]) =>
    value === undefined ? [] : [`--${name === 'cacheDirectory' ? 'cache' : name}=${value}`],
  );
  const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
  return onEvent => startExtractorProcess(process.execPath, [program, ...args], onEvent, env);
}
