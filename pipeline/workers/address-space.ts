import { readFileSync } from 'node:fs';
import { formatBytes } from '../files/format-bytes.ts';

/** Bytes of address space that a process of this shell may have (`ulimit -v`); undefined without a limit, or where the system does not say. */
export function readAddressSpaceLimit(): number | undefined {
  try {
    const [, soft] = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** What to do where a thread gets no memory: with a limit of address space that is nearly always the reason. */
export function explainNoMemory(): {
  readonly expected?: string;
  readonly got?: string;
  readonly hint: string;
} {
  const limit = readAddressSpaceLimit();
  if (limit === undefined) return { hint: 'free memory, or use fewer threads with --threads' };
  return {
    // Measured on two cores: converting needs between 24 and 32 GB, the embedded detector between 32 and 48.
    expected: 'about 32 GB of address space, for the embedded detector 48 GB; little of it is used',
    got: `a limit of ${formatBytes(limit)}`,
    hint: 'raise the limit, such as with ulimit -v unlimited, or use fewer threads with --threads',
  };
}
