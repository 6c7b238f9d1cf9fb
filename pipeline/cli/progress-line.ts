import { basename } from 'node:path';
import { formatBytes } from '../files/format-bytes.ts';
import type { PipelineEvent } from '../events.ts';
import { showOnTerminal } from '../show-text.ts';

export type ProgressEvent = Extract<PipelineEvent, { event: 'progress' }>;

/** How far one input is, and for how long it has been in work. */
export interface ProgressState {
  readonly event: ProgressEvent;
  readonly seconds: number;
  /** What was done before this run, which says nothing about its speed. */
  readonly before: number;
}

const MOST_BAR_CELLS = 24;
const FEWEST_BAR_CELLS = 6;
/** Columns of a file name on a narrow terminal. */
const NARROW_NAME = 16;

/** One line of progress in full, for logs. */
export function describeProgress(state: ProgressState): string {
  const { stage, input } = state.event;
  const facts = listFacts(state);
  const shown = [facts.percent, facts.rows, facts.speed, facts.detail, facts.left].filter(isFact);
  return `${stage} ${showOnTerminal(input)}: ${shown.join(', ')}`;
}

/**
 * One line of progress that is at most `width` columns wide, so that a terminal does not wrap it. What is left out, least
 * important first: the bar, the speed, rows, most of the file name, the time left, the file name, the step.
 */
export function fitProgress(state: ProgressState, width: number): string {
  const { stage, input } = state.event;
  const { percent, rows, speed, detail, left } = listFacts(state);
  const name = showOnTerminal(basename(input));
  const short = shortenName(name.replace(/\.(safetensors|tsv|zip)$/, ''), NARROW_NAME);
  const forms: readonly (readonly [name: string | undefined, facts: readonly (string | undefined)[]])[] = [
    [name, [rows, speed, detail, left]],
    [name, [rows, detail, left]],
    [name, [detail, left]],
    [short, [detail, left]],
    [short, [detail]],
    [undefined, [detail]],
    [short, [left]],
    [undefined, [left]],
    [undefined, []],
  ];
  for (const [shown, facts] of forms) {
    const subject = shown === undefined ? stage : `${stage} ${shown}`;
    const text = [subject, ...facts].filter(isFact).join(', ');
    const room = width - columnsOf(percent) - 1;
    if (columnsOf(text) > room) continue;
    const cells = Math.min(MOST_BAR_CELLS, room - columnsOf(text) - 1);
    const bar = cells < FEWEST_BAR_CELLS || state.event.total === 0 ? '' : `${drawBar(state.event, cells)} `;
    return `${bar}${percent} ${text}`;
  }
  return cutColumns(percent, width);
}

interface Facts {
  readonly percent: string;
  readonly rows: string | undefined;
  readonly speed: string | undefined;
  readonly detail: string | undefined;
  readonly left: string | undefined;
}

function listFacts({ event, seconds, before }: ProgressState): Facts {
  const { done, total, unit, rows, detail } = event;
  const rate = seconds > 0 ? (done - before) / seconds : 0;
  const count = unit === 'bytes' ? undefined : `${done} of ${total} ${unit}`;
  return {
    // The size of what comes through a pipe is not known.
    percent: total === 0 ? formatBytes(done) : `${Math.floor((Math.min(done, total) / total) * 100)} %`,
    rows: rows === undefined ? count : `${rows} rows`,
    speed: rate > 0 ? describeRate(unit, rate) : undefined,
    detail: detail === undefined ? undefined : showOnTerminal(detail),
    left: rate > 0 && total > done ? `${formatDuration((total - done) / rate)} left` : undefined,
  };
}

function isFact(fact: string | undefined): fact is string {
  return fact !== undefined;
}

function drawBar({ done, total }: ProgressEvent, cells: number): string {
  const full = Math.round(Math.min(1, done / total) * cells);
  return '█'.repeat(full) + '░'.repeat(cells - full);
}

/** A speed in the unit that is easiest to read. */
export function describeRate(unit: ProgressEvent['unit'], rate: number): string {
  if (unit === 'bytes') return `${formatBytes(Math.round(rate))}/s`;
  if (rate < 1) return `${(1 / rate).toFixed(1)} s each`;
  return `${rate.toFixed(rate < 10 ? 1 : 0)} ${unit}/s`;
}

export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Keeps both ends of a name: its beginning says what it is, its end which part. */
function shortenName(name: string, width: number): string {
  if (columnsOf(name) <= width) return name;
  const half = Math.floor((width - 1) / 2);
  const reverse = (text: string): string => Array.from(text).reverse().join('');
  return `${cutColumns(name, half)}…${reverse(cutColumns(reverse(name), half))}`;
}

function cutColumns(text: string, width: number): string {
  let cut = '';
  for (const char of text) {
    if (columnsOf(cut + char) > width) break;
    cut += char;
  }
  return cut;
}

const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;

/** Columns that a terminal gives a text. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const char of text) columns += /\p{M}/u.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return columns;
}
