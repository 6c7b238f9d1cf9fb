import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { LxmertDataError } from './errors.ts';

interface Job<Request, Reply> {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: unknown) => void;
}

/** Worker threads that answer one request at a time each. `module` is a file name without its ending, beside `from`. */
export class WorkerPool<Request, Reply> {
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #queue: Job<Request, Reply>[] = [];
  readonly #running = new Map<Worker, Job<Request, Reply>>();
  #failure: unknown;

  constructor(from: string, module: string, threads: number) {
    // In the repository the sources run as they are; in the published package they are compiled.
    const url = new URL(`${module}${extname(new URL(from).pathname)}`, from);
    for (let index = 0; index < threads; index++) {
      const worker = new Worker(url);
      worker.on('message', (reply: Reply) => this.#settle(worker, reply));
      worker.on('error', error => this.#fail(error));
      this.#workers.push(worker);
      this.#idle.push(worker);
    }
  }

  async run(request: Request): Promise<Reply> {
    return await new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(
          new LxmertDataError('ERR_INTERNAL', {
            what: 'a worker thread failed before',
            cause: this.#failure,
          }),
        );
        return;
      }
      this.#queue.push({ request, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map(async worker => await worker.terminate()));
  }

  #next(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!;
      const job = this.#queue.shift()!;
      this.#running.set(worker, job);
      worker.postMessage(job.request);
    }
  }

  #settle(worker: Worker, reply: Reply): void {
    this.#running.get(worker)?.resolve(reply);
    this.#running.delete(worker);
    this.#idle.push(worker);
    this.#next();
  }

  #fail(cause: unknown): void {
    this.#failure = cause;
    const error = new LxmertDataError('ERR_INTERNAL', { what: 'a worker thread failed', cause });
    for (const job of [...this.#running.values(), ...this.#queue]) job.reject(error);
    this.#running.clear();
    this.#queue.length = 0;
  }
}
