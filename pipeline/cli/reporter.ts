import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import { LxmertDataError } from '../errors.ts';
import type { Emit, PipelineEvent } from '../events.ts';
import { formatBytes } from '../files/format-bytes.ts';
import { describeProblem } from '../problem.ts';

/** Seconds between two lines of progress where nobody watches a terminal. */
const PLAIN_INTERVAL_MS = 10_000;
const BAR_INTERVAL_MS = 100;
/** Work that has told nothing for so long is over, or stands still: its line goes. */
const SILENT_MS = 1500;
const BAR_CELLS = 24;
/** Problems printed one by one; a report has all of them. */
const MAX_PRINTED_PROBLEMS = 20;

export type ReportMode = 'human' | 'json' | 'quiet';

/** Shows events to the person who waits, or to the program that reads. */
export interface Reporter {
  readonly emit: Emit;
  readonly print: (line: string) => void;
  /** Removes the progress bar and says what was not printed. */
  readonly end: () => void;
  readonly fail: (error: unknown) => void;
}

type Progress = Extract<PipelineEvent, { event: 'progress' }>;

export function createReporter(mode: ReportMode, out: NodeJS.WriteStream, err: NodeJS.WriteStream): Reporter {
  if (mode === 'json') return createJsonReporter(out);
  const style = (format: 'red' | 'yellow' | 'dim', text: string): string =>
    styleText(format, text, { stream: err });
  const progress = mode === 'quiet' ? undefined : createProgress(err);
  let problems = 0;
  const say = (stream: NodeJS.WriteStream, line: string): void => {
    progress?.clear();
    stream.write(`${line}\n`);
  };
  return {
    emit(event) {
      if (event.event === 'progress') progress?.update(event);
      else if (event.event === 'problem') {
        problems++;
        if (mode === 'human' && problems <= MAX_PRINTED_PROBLEMS) {
          say(
            err,
            style(
              event.severity === 'error' ? 'red' : 'yellow',
              `${event.severity}: ${describeProblem(event)}`,
            ),
          );
        }
      } else if (mode === 'human' && event.event === 'warning')
        say(err, style('yellow', `warning: ${event.message}`));
      else if (mode === 'human' && event.event === 'note') say(err, style('dim', event.message));
    },
    print(line) {
      if (mode === 'human') say(out, line);
    },
    end() {
      progress?.clear();
      const hidden = problems - MAX_PRINTED_PROBLEMS;
      if (mode === 'human' && hidden > 0)
        err.write(`… and ${hidden} more problems; --report FILE.json writes all of them\n`);
    },
    fail(error) {
      say(err, style('red', `error: ${describeFailure(error)}`));
    },
  };
}

function createJsonReporter(out: NodeJS.WriteStream): Reporter {
  const write = (value: unknown): void => void out.write(`${JSON.stringify(value)}\n`);
  const shown = new Map<string, number>();
  return {
    emit(event) {
      // Progress is thinned out; everything else is told.
      if (event.event === 'progress' && event.done < event.total) {
        const key = `${event.stage} ${event.input}`;
        if (Date.now() - (shown.get(key) ?? 0) < BAR_INTERVAL_MS) return;
        shown.set(key, Date.now());
      }
      write(event);
    },
    print: () => undefined,
    end: () => undefined,
    fail(error) {
      const known = error instanceof LxmertDataError;
      write({ event: 'error', code: known ? error.code : 'ERR_INTERNAL', message: describeFailure(error) });
    },
  };
}

/** The message of an error that this tool names itself; everything else with its stack, since it is a defect. */
export function describeFailure(error: unknown): string {
  if (error instanceof LxmertDataError) {
    return error.code === 'ERR_INTERNAL' && error.cause instanceof Error
      ? `${error.message}\n${error.cause.stack ?? ''}`
      : error.message;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** What is at work at the same time has a line each. */
function createProgress(stream: NodeJS.WriteStream): {
  update: (event: Progress) => void;
  clear: () => void;
} {
  const redraw = stream.isTTY ? createLogUpdate(stream) : undefined;
  const works = new Map<string, { readonly began: number; seen: number; shown: number; line: string }>();
  let drawn = 0;
  return {
    update(event) {
      const now = Date.now();
      const key = `${event.stage} ${event.input}`;
      const work = works.get(key) ?? { began: now, seen: now, shown: now, line: '' };
      works.set(key, work);
      work.seen = now;
      if (redraw === undefined) {
        if (now - work.shown < PLAIN_INTERVAL_MS) return;
        work.shown = now;
        stream.write(`${describeProgress(event, (now - work.began) / 1000)}\n`);
        return;
      }
      if (work.line !== '' && now - drawn < BAR_INTERVAL_MS) return;
      work.line = `${drawBar(event.done / Math.max(event.total, 1))} ${describeProgress(event, (now - work.began) / 1000)}`;
      for (const [other, { seen }] of works) if (now - seen > SILENT_MS) works.delete(other);
      drawn = now;
      redraw([...works.values()].map(({ line }) => line).join('\n'));
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

function describeProgress(event: Progress, seconds: number): string {
  const percent = Math.floor((event.done / Math.max(event.total, 1)) * 100);
  const rate = seconds > 0 ? event.done / seconds : 0;
  const left = rate > 0 ? formatDuration((event.total - event.done) / rate) : '?';
  const speed = describeSpeed(event.unit, rate);
  const rows = event.rows === undefined ? '' : `, ${event.rows} rows`;
  const detail = event.detail === undefined ? '' : ` (${event.detail})`;
  return `${event.stage} ${event.input}: ${percent} %${rows}, ${speed}${detail}, ${left} left`;
}

function describeSpeed(unit: Progress['unit'], rate: number): string {
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
