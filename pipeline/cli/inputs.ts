import { existsSync } from 'node:fs';
import { extname, isAbsolute, join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import type { ProblemSummary } from '../rows/problem-log.ts';
import type { CommandContext } from './spec.ts';

/** Where the trained detector lies below the data root, as `fetch detector` makes it. */
export const DEFAULT_WEIGHTS = 'detector/detector.safetensors';
/** The same as published, which Caffe's container needs. */
export const CAFFE_WEIGHTS = 'detector/resnet101_faster_rcnn_final_iter_320000.caffemodel';

/** The trained detector below the data root; where there is none, the path that `fetch detector` would fill. */
export function findTrainedWeights(data: string): string {
  const paths = [DEFAULT_WEIGHTS, CAFFE_WEIGHTS].map(path => join(data, path));
  return paths.find(path => existsSync(path)) ?? join(data, DEFAULT_WEIGHTS);
}

/** Files as given, or below the data root where they are not found otherwise. */
export function resolveInputs(paths: readonly string[], data: string): readonly string[] {
  return paths.map(path => {
    const below = join(data, path);
    return isAbsolute(path) || existsSync(path) || !existsSync(below) ? path : below;
  });
}

/** Stores as given, or below the data root. @throws LxmertDataError ERR_USAGE that says what another kind of file is for */
export function resolveStores(paths: readonly string[], data: string): readonly string[] {
  for (const path of paths) {
    if (path.endsWith('.safetensors')) continue;
    const isSource = /\.(tsv|zip|z?[0-9]{2,3})$/i.test(path);
    throw new LxmertDataError('ERR_USAGE', {
      what: 'this is not a store',
      where: path,
      expected: 'a name that ends in .safetensors',
      hint: isSource ? `make a store of it first: lxmert-data convert ${path}` : undefined,
    });
  }
  return resolveInputs(paths, data);
}

/** The store's name with its ending, which may be left out. @throws LxmertDataError ERR_USAGE for another ending */
export function storeName(out: string | undefined, command: string): string | undefined {
  if (out === undefined || out.endsWith('.safetensors')) return out;
  if (extname(out) === '' && !out.endsWith('/')) return `${out}.safetensors`;
  throw new LxmertDataError('ERR_USAGE', {
    what: `${command} makes stores`,
    expected: '--out with a name that ends in .safetensors',
    got: out,
    hint: 'other formats are written from the store: lxmert-data export',
  });
}

export function printProblemSummary(summary: ProblemSummary, context: CommandContext): void {
  if (summary.errors + summary.warnings === 0) {
    context.print('no problems');
    return;
  }
  const kinds = Object.entries(summary.by_code).map(([code, count]) => `${code} ${count}`);
  context.print(`${summary.errors} errors, ${summary.warnings} warnings: ${kinds.join(', ')}`);
}
