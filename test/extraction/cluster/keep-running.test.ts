import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { keepRunning } from '../../../pipeline/extraction/cluster/keep-running.ts';
import type { ExtractorEnd, StartExtractor } from '../../../pipeline/extraction/process.ts';
import { RowFolder } from '../../../pipeline/extraction/row-folder.ts';
import { runExtractors } from '../../../pipeline/extraction/run-extractors.ts';
import { makeContext } from '../../helpers/rows.ts';
import { makeTempFolder } from '../../helpers/temp.ts';

/** Refuses each image as soon as it is sent, before the caller goes on. */
const refuseAtOnce: StartExtractor = onEvent => {
  const ended = Promise.withResolvers<ExtractorEnd>();
  let events = Promise.resolve();
  const say = (event: Parameters<typeof onEvent>[0]): void => {
    events = events.then(async () => await onEvent(event));
  };
  const end = (): void => ended.resolve({ code: 0, signal: null, stderrTail: '' });
  queueMicrotask(() => say({ event: 'ready', detector: { name: 'x', weights: 'untrained' }, device: 'cpu' }));
  return {
    send({ lot, images }) {
      for (const { img_id: id } of images) say({ event: 'failed', lot, img_id: id, reason: 'refused' });
      say({ event: 'lot', lot });
    },
    finish: end,
    kill: end,
    ended: ended.promise,
  };
};

test('a run with an extractor that stayed waits for every batch, however fast the first one is done', async t => {
  const folder = await RowFolder.open(join(await makeTempFolder(t), 'x.rows'), new Set(), () => undefined);
  t.teardown(() => folder.close());
  const kept = keepRunning({ start: [refuseAtOnce] });
  let opened = 0;
  const { rows, exchange } = folder;
  // The second batch takes its time, as on a loaded disk.
  const target = {
    rows,
    exchange,
    holdTo: folder.holdTo.bind(folder),
    openBatch: async (ids: readonly string[]) => {
      if (opened++ % 2 === 1) await sleep(50);
      return await folder.openBatch(ids);
    },
  };
  for (let unit = 0; unit < 4; unit++) {
    const images = Array.from({ length: 2 }, (_, index) => ({ img_id: `u${unit}_${index}`, path: 'x.jpg' }));
    const { failures } = await runExtractors(
      { images, folder: target, extractors: kept.extractors, stallSeconds: 60, onDone: () => undefined },
      makeContext(),
    );
    t.is(failures.size, images.length, `unit ${unit}`);
  }
  await kept.close();
});
