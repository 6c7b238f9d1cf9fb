import { LxmertDataError } from '../errors.ts';

/** Shared by the threads: [stop, busy]. */
export type GuardState = Int32Array<SharedArrayBuffer>;

const STOP = 0;
const BUSY = 1;
/** Longer than any group of regions takes; a process must be able to end. */
const EXIT_WAIT_MS = 10_000;

/**
 * Ends the work of the device's thread before that thread ends. A thread that is ended inside a call of onnxruntime
 * takes the process with it (SIGABRT), so a process that exits waits until the call under way has returned.
 */
export class DeviceGuard {
  readonly state: GuardState = new Int32Array(new SharedArrayBuffer(8));
  readonly #onExit = (): void => {
    this.stop();
    Atomics.wait(this.state, BUSY, 1, EXIT_WAIT_MS);
  };

  constructor() {
    process.on('exit', this.#onExit);
  }

  /** From now on no call is begun; the one under way goes on. */
  stop(): void {
    Atomics.store(this.state, STOP, 1);
  }

  /** To be called when the device's thread has ended. */
  release(): void {
    process.off('exit', this.#onExit);
  }

  checkRunning(): void {
    checkRunning(this.state);
  }
}

/** @throws LxmertDataError ERR_INTERRUPTED once the extractor has been stopped. */
export function checkRunning(state: GuardState): void {
  if (Atomics.load(state, STOP) === 0) return;
  throw new LxmertDataError('ERR_INTERRUPTED', { what: 'the extractor was closed' });
}

/** In the device's thread: does `work`, which consists of calls that must not be cut off. */
export async function runGuarded<Result>(state: GuardState, work: () => Promise<Result>): Promise<Result> {
  Atomics.store(state, BUSY, 1);
  try {
    return await work();
  } finally {
    Atomics.store(state, BUSY, 0);
    Atomics.notify(state, BUSY);
  }
}
