import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorFault } from './mirror-fault.ts';

export interface RetryPolicy {
  /** Tries in a row without any new byte worth mentioning. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A server that wants longer than this is left for the next mirror. */
  readonly maxRetryAfterMs: number;
}

/** Tries of a host that cannot be reached at all; other mirrors wait. */
const UNREACHABLE_ATTEMPTS = 3;

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 6,
  firstDelayMs: 1000,
  maxDelayMs: 60_000,
  maxRetryAfterMs: 300_000,
};

/** How long to wait before try number `attempt` + 1, or undefined to give up. `random` is in [0, 1). */
export function calculateRetryDelay(
  fault: MirrorFault,
  attempt: number,
  policy: RetryPolicy,
  random: number,
): number | undefined {
  const attempts = fault.isUnreachable ? Math.min(policy.attempts, UNREACHABLE_ATTEMPTS) : policy.attempts;
  if (!fault.isTransient || attempt >= attempts) return undefined;
  if (fault.retryAfterMs !== undefined) {
    return fault.retryAfterMs > policy.maxRetryAfterMs ? undefined : fault.retryAfterMs;
  }
  const delay = Math.min(policy.firstDelayMs * 2 ** (attempt - 1), policy.maxDelayMs);
  // Full delays would make all connections of one break come back at the same moment.
  return delay * (0.5 + random / 2);
}

/** Throws the signal's own reason when that is given. */
export async function waitUnlessAborted(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Retry-After as seconds or as a date. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(date - nowMs, 0);
}
