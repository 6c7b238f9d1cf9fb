import { createLogUpdate } from 'log-update';
import { describeProgress, fitProgress, formatDuration, type ProgressEvent } from './progress-line.ts';

/** Time between two lines of progress where the output is not a terminal. */
const PLAIN_INTERVAL_MS = 15_000;
/** Time between two drawings on a terminal; also while no event comes, so that it can be seen that work goes on. */
const DRAW_INTERVAL_MS = 150;
/** Short commands show no progress. */
const PATIENCE_MS = 400;
/** A line without an update for this long is taken away, unless it is the last one. */
const SILENT_MS = 1500;
const SPINNER = ['|', '/', '-', '\\'] as const;

export interface Progress {
  readonly update: (event: ProgressEvent) => void;
  /** Takes the lines away, for others to be written; they come back with the next drawing. */
  readonly clear: () => void;
  readonly end: () => void;
}

interface Line {
  readonly began: number;
  /** What was done when it began. */
  readonly before: number;
  updated: number;
  event: ProgressEvent;
}

/** Whether lines on this stream can be drawn again: not in files and pipes, and not on terminals that cannot move the cursor. */
function canRedraw(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && stream.columns > 0 && process.env['TERM'] !== 'dumb';
}

/**
 * Progress of a command on a stream: on a terminal a line for each input in work, drawn again and again from the first
 * second on; elsewhere a plain line now and then.
 */
export function createProgress(
  stream: NodeJS.WriteStream,
  command: string,
  plainIntervalMs = PLAIN_INTERVAL_MS,
): Progress {
  const lines = new Map<string, Line>();
  const began = Date.now();
  const draw = canRedraw(stream) ? createDrawing(stream) : undefined;
  const tick = draw === undefined ? printLines : drawLines;
  const timer = setInterval(tick, draw === undefined ? plainIntervalMs : DRAW_INTERVAL_MS);
  // The command alone decides when the program ends.
  timer.unref();
  let frame = 0;

  function stateOf(line: Line) {
    return { event: line.event, seconds: (Date.now() - line.began) / 1000, before: line.before };
  }

  /** What is said while nothing is known of how far the command is. */
  function describeWait(): string {
    return `${command}, ${formatDuration((Date.now() - began) / 1000)}`;
  }

  function dropSilent(): void {
    const now = Date.now();
    const last = [...lines.values()].reduce((newest, { updated }) => Math.max(newest, updated), 0);
    for (const [key, { updated }] of lines)
      if (updated < last && now - updated > SILENT_MS) lines.delete(key);
  }

  function drawLines(): void {
    if (Date.now() - began < PATIENCE_MS) return;
    dropSilent();
    const spinner = SPINNER[frame++ % SPINNER.length] ?? '';
    // The last column stays free: some terminals go on to the next line there.
    const width = stream.columns - 3;
    const shown = [...lines.values()].map(line => fitProgress(stateOf(line), width));
    if (shown.length === 0) shown.push(describeWait());
    draw?.(shown.map(line => `${spinner} ${line}`).join('\n'));
  }

  function printLines(): void {
    dropSilent();
    for (const line of lines.values()) stream.write(`${describeProgress(stateOf(line))}\n`);
    if (lines.size === 0) stream.write(`${describeWait()}\n`);
  }

  return {
    update(event) {
      const now = Date.now();
      const key = `${event.stage} ${event.input}`;
      const known = lines.get(key);
      if (known === undefined) lines.set(key, { began: now, before: event.done, updated: now, event });
      else {
        known.updated = now;
        known.event = event;
      }
    },
    clear: () => draw?.clear(),
    end() {
      clearInterval(timer);
      draw?.end();
    },
  };
}

interface Drawing {
  (text: string): void;
  readonly clear: () => void;
  readonly end: () => void;
}

function createDrawing(stream: NodeJS.WriteStream): Drawing {
  const update = createLogUpdate(stream);
  let isShown = false;
  const clear = (): void => {
    if (isShown) update.clear();
    isShown = false;
  };
  const draw = (text: string): void => {
    isShown = true;
    update(text);
  };
  const end = (): void => {
    clear();
    // Shows the cursor again.
    update.done();
  };
  return Object.assign(draw, { clear, end });
}
