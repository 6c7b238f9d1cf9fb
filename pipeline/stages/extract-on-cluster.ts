import type { StageContext } from '../events.ts';
import { publishUnits, type PublishOptions, type PublishResult } from '../extraction/cluster/publish.ts';
import { runWorker, type WorkerOptions, type WorkerResult } from '../extraction/cluster/run-worker.ts';

/** Computes a worker's part of a plan. Images without a row are facts of their unit, and no failure. */
export async function extractUnits(options: WorkerOptions, context: StageContext): Promise<WorkerResult> {
  const { plan, index, count } = options;
  const message = `worker ${index} of ${count}: ${plan.file.images} images in ${plan.units} units`;
  context.emit({ event: 'note', message });
  return await runWorker(options, context);
}

/** Makes the one output of a plan. */
export async function publishPlan(options: PublishOptions, context: StageContext): Promise<PublishResult> {
  return await publishUnits(options, context);
}
