import type { StageContext } from '../../events.ts';
import type { ExtractorEvent } from '../contract.ts';

/** A GPU that the image supports takes less than a second; one that it does not, 25 to 45. */
const SLOW_SECONDS = 10;
const ROWS_LOOKED_AT = 5;

/** Warns once when rows come as slowly as from a GPU that only seems to work. The first row, which may wait for a compiler, does not count. */
export function watchSpeed(
  gpu: string,
  context: StageContext,
  clock: () => number = Date.now,
): (event: ExtractorEvent) => void {
  let rows = 0;
  let began = 0;
  return event => {
    if (event.event !== 'row') return;
    if (rows++ === 0) began = clock();
    if (rows !== ROWS_LOOKED_AT + 1) return;
    const seconds = (clock() - began) / 1000 / ROWS_LOOKED_AT;
    if (seconds < SLOW_SECONDS) return;
    const message = `GPU ${gpu} takes ${seconds.toFixed(0)} s an image: the image does not really support it; use a GPU of the Pascal generation or older, another --image, or --backend embedded`;
    context.emit({ event: 'warning', message });
  };
}
