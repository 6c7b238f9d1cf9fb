import { findImageSet, type ImageSet } from '../../pipeline/manifest/image-sets.ts';
import { loadManifest } from '../../pipeline/manifest/load.ts';
import type { StageContext } from '../../pipeline/events.ts';
import {
  type ExtractionRequest,
  type ExtractPlan,
  planExtraction,
} from '../../pipeline/extraction/plan-extraction.ts';
import type { StartExtractor } from '../../pipeline/extraction/process.ts';
import type { Extractors } from '../../pipeline/extraction/run-extractors.ts';
import { extract, type ExtractOptions, type ExtractResult } from '../../pipeline/stages/extract.ts';

export interface ExtractRun extends ExtractionRequest, Omit<ExtractOptions, 'plan' | 'extractors'> {
  /** Extractors, or what makes them ready for a plan. */
  readonly start: readonly StartExtractor[] | ((plan: ExtractPlan) => Promise<Extractors>);
}

/** Plans an extraction and runs it, as the command line does. */
export async function runExtraction(run: ExtractRun, context: StageContext): Promise<ExtractResult> {
  const { start, stallSeconds, skipBad, keepRows } = run;
  const plan = await planExtraction(run, context);
  const extractors = typeof start === 'function' ? await start(plan) : { start };
  return await extract({ plan, extractors, stallSeconds, skipBad, keepRows }, context);
}

const manifest = await loadManifest();

/** An image set of the manifest that comes with the tool. */
export function findSplit(name: string): ImageSet {
  return findImageSet(manifest, name);
}
