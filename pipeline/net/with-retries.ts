import { MirrorFault } from './mirror-fault.ts';
import { calculateRetryDelay, DEFAULT_RETRY, waitUnlessAborted } from './retry-delay.ts';
import type { RetryPolicy } from './retry-delay.ts';

export interface RetryOptions {
  readonly policy?: RetryPolicy | undefined;
  readonly signal: AbortSignal;
  /** Bytes done, and how many of them make the count of failures begin anew. */
  readonly position: () => number;
  readonly worthwhileBytes: () => number;
  readonly onNote?: ((message: string) => void) | undefined;
}

/** Tries until it works or there is no hope. Throws what the last try threw. */
export async function withRetries(
  attempt: (isRetry: boolean) => Promise<void>,
  { policy = DEFAULT_RETRY, signal, position, worthwhileBytes, onNote }: RetryOptions,
): Promise<void> {
  for (let failures = 0; ;) {
    const before = position();
    try {
      await attempt(failures > 0);
      return;
    } catch (error) {
      if (!(error instanceof MirrorFault)) throw error;
      const progress = position() - before;
      if (progress > 0 && progress >= worthwhileBytes()) failures = 0;
      failures++;
      const delayMs = calculateRetryDelay(error, failures, policy, Math.random());
      if (delayMs === undefined) throw error;
      onNote?.(`${error.message}; trying again in ${(delayMs / 1000).toFixed(1)} s`);
      await waitUnlessAborted(delayMs, signal);
    }
  }
}
