import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type ExtractorEvent, type ImageBatch, parseExtractorEvent } from './contract.ts';

/** How an extractor ended. */
export interface ExtractorEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** What that means, where it is known. */
  readonly why?: string;
  /** Last lines it wrote to standard error. */
  readonly stderrTail: string;
}

/** A running extractor, whatever runs it: a process here or one in a container. */
export interface RunningExtractor {
  send(batch: ImageBatch): void;
  /** No more batches: it ends when the last one is done. */
  finish(): void;
  kill(): void;
  readonly ended: Promise<ExtractorEnd>;
}

/** Starts one extractor; `onEvent` is called for each of its events. */
export type StartExtractor = (onEvent: (event: ExtractorEvent) => void) => RunningExtractor;

/** Characters of standard error that are kept for messages. */
const STDERR_TAIL_CHARS = 4000;

/** An extractor that is a program on this machine. */
export function startExtractorProcess(
  program: string,
  args: readonly string[],
  onEvent: (event: ExtractorEvent) => void,
): RunningExtractor {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderrTail = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARS)));
  // It may have died before it read its input; `ended` says so.
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', line => onEvent(parseExtractorEvent(line)));
  const ended = new Promise<ExtractorEnd>(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, stderrTail: error.message }));
    child.on('close', (code, signal) => resolve({ code, signal, stderrTail: stderrTail.trim() }));
  });
  return {
    send: batch => void child.stdin.write(`${JSON.stringify(batch)}\n`),
    finish: () => child.stdin.end(),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}
