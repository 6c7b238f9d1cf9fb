import { spawn } from 'node:child_process';
import type { ImageBatch } from './contract.ts';
import { readEvents, type TakeEvent } from './event-lines.ts';

/** How an extractor ended. */
export interface ExtractorEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** What that means, where it is known. */
  readonly why?: string;
  /** Another try cannot help. */
  readonly isFinal?: boolean;
  /** It was ended by somebody else, or with its engine: no image is to blame. */
  readonly isFromOutside?: boolean;
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

/** Starts one extractor; `onEvent` is called for each of its events, the next one when its promise has resolved. */
export type StartExtractor = (onEvent: TakeEvent) => RunningExtractor;

/** Characters of standard error that are kept for messages. */
const STDERR_TAIL_CHARS = 4000;

/** An extractor that is a program on this machine. */
export function startExtractorProcess(
  program: string,
  args: readonly string[],
  onEvent: TakeEvent,
  env: NodeJS.ProcessEnv = process.env,
): RunningExtractor {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
  let stderrTail = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARS)));
  // It may have died before it read its input; `ended` says so.
  child.stdin.on('error', () => undefined);
  // A broken pipe; `ended` says so too.
  const read = readEvents(child.stdout, onEvent).catch(() => undefined);
  const closed = new Promise<ExtractorEnd>(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, stderrTail: error.message }));
    child.on('close', (code, signal) => resolve({ code, signal, stderrTail: stderrTail.trim() }));
  });
  const ended = closed.then(async end => {
    await read;
    return end;
  });
  return {
    send: batch => void child.stdin.write(`${JSON.stringify(batch)}\n`),
    finish: () => child.stdin.end(),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}

/** Why an extractor ended, in a few words. */
export function describeEnd({ code, signal, why }: ExtractorEnd): string {
  if (why !== undefined) return why;
  return signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
}
