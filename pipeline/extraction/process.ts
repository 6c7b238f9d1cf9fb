import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type ExtractorEvent, type Lot, parseExtractorEvent } from './contract.ts';

/** How an extractor ended. */
export interface ExtractorEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** What that means, where it is known. */
  readonly why?: string;
  /** Last lines it wrote to standard error. */
  readonly lastWords: string;
}

/** A running extractor, whatever runs it: a process here or one in a container. */
export interface RunningExtractor {
  send(lot: Lot): void;
  /** No more lots: it ends when the last one is done. */
  finish(): void;
  kill(): void;
  readonly ended: Promise<ExtractorEnd>;
}

/** Starts one extractor; `onEvent` is called for each of its events. */
export type StartExtractor = (onEvent: (event: ExtractorEvent) => void) => RunningExtractor;

const KEPT_WORDS = 4000;

/** An extractor that is a program on this machine. */
export function startExtractorProcess(
  program: string,
  words: readonly string[],
  onEvent: (event: ExtractorEvent) => void,
): RunningExtractor {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let lastWords = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (lastWords = (lastWords + text).slice(-KEPT_WORDS)));
  // It may have died before it read what it was sent; its end says so.
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', line => onEvent(parseExtractorEvent(line)));
  const ended = new Promise<ExtractorEnd>(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, lastWords: error.message }));
    child.on('close', (code, signal) => resolve({ code, signal, lastWords: lastWords.trim() }));
  });
  return {
    send: lot => void child.stdin.write(`${JSON.stringify(lot)}\n`),
    finish: () => child.stdin.end(),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}
