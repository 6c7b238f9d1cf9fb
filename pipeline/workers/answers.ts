import { parentPort } from 'node:worker_threads';
import type { ErrorCode, ErrorParts } from '../errors.ts';
import { LxmertDataError } from '../errors.ts';
import type { WorkerPool } from './pool.ts';

/** What a worker thread sends back: errors lose their class on the way between threads. */
export type Answer = { readonly result: unknown } | { readonly failure: Failure };

interface Failure {
  readonly message: string;
  readonly code?: ErrorCode;
  readonly parts?: ErrorParts;
}

/** Called in a worker: answers requests one after the other, in the order in which the pool takes the answers. */
export function answerInOrder(handle: (request: never) => Promise<unknown>): void {
  const port = parentPort!;
  let queue = Promise.resolve();
  port.on('message', (request: unknown) => {
    queue = queue.then(async () => port.postMessage(await answer(() => handle(request as never))));
  });
}

async function answer(work: () => Promise<unknown>): Promise<Answer> {
  try {
    return { result: await work() };
  } catch (error) {
    if (!(error instanceof LxmertDataError)) return { failure: { message: describe(error) } };
    const { cause, ...parts } = error.parts;
    const reason = cause === undefined ? undefined : describe(cause);
    return { failure: { message: error.message, code: error.code, parts: { ...parts, cause: reason } } };
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Asks a worker and throws what it threw. */
export async function ask<Request, Result>(
  pool: WorkerPool<Request, Answer>,
  request: Request,
): Promise<Result> {
  const reply = await pool.run(request);
  if ('result' in reply) return reply.result as Result;
  const { message, code, parts } = reply.failure;
  throw code === undefined || parts === undefined
    ? new LxmertDataError('ERR_INTERNAL', { what: 'a worker thread failed', cause: message })
    : new LxmertDataError(code, parts);
}
