import { createLogUpdate } from 'log-update';
import type { PipelineEvent } from '../events.ts';
import { showOnTerminal } from '../show-text.ts';
import { formatBytes } from '../files/format-bytes.ts';

/** Time between two lines of progress where the output is not a terminal. */
const PLAIN_INTERVAL_MS = 10_000;
const BAR_INTERVAL_MS = 100;
/** A progress line is hidden after this long without an update. */
const SILENT_MS = 1500;
const BAR_CELLS = 24;

export type ProgressEvent = Extract<PipelineEvent, { event: 'progress' }>;

export interface Progress {
  readonly update: (event: ProgressEvent) => void;
  readonly clear: () => void;
}

interface Line {
  readonly began: number;
  updated: number;
  printed: number;
  text: string;
}

/** Progress on a stream: one line for each input in work, redrawn on a terminal and repeated now and then elsewhere. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  const redraw = stream.isTTY ? createLogUpdate(stream) : undefined;
  const lines = new Map<string, Line>();
  let drawn = 0;
  const print = (event: ProgressEvent, line: Line, now: number): void => {
    if (now - line.printed < PLAIN_INTERVAL_MS) return;
    line.printed = now;
    stream.write(`${describeProgress(event, (now - line.began) / 1000)}\n`);
  };
  return {
    update(event) {
      const now = Date.now();
      const key = `${event.stage} ${event.input}`;
      const line = lines.get(key) ?? { began: now, updated: now, printed: now, text: '' };
      lines.set(key, line);
      line.updated = now;
      if (redraw === undefined) {
        print(event, line, now);
        return;
      }
      if (line.text !== '' && now - drawn < BAR_INTERVAL_MS) return;
      const fraction = event.done / Math.max(event.total, 1);
      line.text = `${drawBar(fraction)} ${describeProgress(event, (now - line.began) / 1000)}`;
      for (const [other, { updated }] of lines) if (now - updated > SILENT_MS) lines.delete(other);
      drawn = now;
      redraw([...lines.values()].map(({ text }) => text).join('\n'));
    },
    clear() {
      redraw?.clear();
      drawn = 0;
    },
  };
}

function drawBar(fraction: number): string {
  const full = Math.round(Math.min(1, fraction) * BAR_CELLS);
  return '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
}

function describeProgress(event: ProgressEvent, seconds: number): string {
  const percent = Math.floor((event.done / Math.max(event.total, 1)) * 100);
  const rate = seconds > 0 ? event.done / seconds : 0;
  const left = rate > 0 ? formatDuration((event.total - event.done) / rate) : '?';
  const speed = describeSpeed(event.unit, rate);
  const rows = event.rows === undefined ? '' : `, ${event.rows} rows`;
  const detail = event.detail === undefined ? '' : ` (${showOnTerminal(event.detail)})`;
  return `${event.stage} ${showOnTerminal(event.input)}: ${percent} %${rows}, ${speed}${detail}, ${left} left`;
}

function describeSpeed(unit: ProgressEvent['unit'], rate: number): string {
  if (unit === 'bytes') return `${formatBytes(Math.round(rate))}/s`;
  if (rate > 0 && rate < 1) return `${(1 / rate).toFixed(1)} s each`;
  return `${rate.toFixed(rate < 10 ? 1 : 0)} ${unit}/s`;
}

function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
