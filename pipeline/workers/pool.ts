import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { isErrno, LxmertDataError } from '../errors.ts';
import { explainNoMemory } from './address-space.ts';

/** Requests that wait at a worker, so that it goes on while the main thread is busy. */
const BACKLOG = 2;

interface Job<Request, Reply> {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
}

interface Lane<Request, Reply> {
  readonly worker: Worker;
  /** Sent and not yet answered, in order. */
  readonly jobs: Job<Request, Reply>[];
}

/** Worker threads that answer requests in order. `module` is a file name without its ending, beside `from`. */
export class WorkerPool<Request, Reply> {
  readonly #lanes: Lane<Request, Reply>[] = [];
  readonly #queue: Job<Request, Reply>[] = [];
  #failure: LxmertDataError | undefined;
  #isClosing = false;

  constructor(from: string, module: string, threads: number) {
    // In the repository the sources run as they are; in the published package they are compiled.
    const url = new URL(`${module}${extname(new URL(from).pathname)}`, from);
    for (let index = 0; index < threads; index++) {
      const lane: Lane<Request, Reply> = { worker: new Worker(url), jobs: [] };
      lane.worker.on('message', (reply: Reply) => {
        lane.jobs.shift()?.resolve(reply);
        this.#next();
      });
      lane.worker.on('error', error => this.#fail(error));
      lane.worker.on('exit', code => {
        if (!this.#isClosing) this.#fail(new Error(`it ended with code ${code}`));
      });
      this.#lanes.push(lane);
    }
  }

  async run(request: Request): Promise<Reply> {
    return await new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#queue.push({ request, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#lanes.map(async ({ worker }) => await worker.terminate()));
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const lane = this.#lanes.reduce((least, other) =>
        other.jobs.length < least.jobs.length ? other : least,
      );
      if (lane.jobs.length >= BACKLOG) return;
      const job = this.#queue.shift();
      if (job === undefined) return;
      lane.jobs.push(job);
      lane.worker.postMessage(job.request);
    }
  }

  #fail(cause: unknown): void {
    this.#failure ??= isErrno(cause, 'ERR_WORKER_OUT_OF_MEMORY', 'ERR_WORKER_INIT_FAILED')
      ? new LxmertDataError('ERR_IO', { what: 'a thread got no memory', ...explainNoMemory(), cause })
      : new LxmertDataError('ERR_INTERNAL', { what: 'a worker thread failed', cause });
    for (const job of [...this.#lanes.flatMap(lane => lane.jobs), ...this.#queue]) job.reject(this.#failure);
    this.#queue.length = 0;
  }
}
