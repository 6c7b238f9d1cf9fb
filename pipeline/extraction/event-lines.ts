import type { Readable } from 'node:stream';
import { type ExtractorEvent, parseExtractorEvent } from './contract.ts';

/** Longest line of an extractor; what is beyond is dropped. */
const MAX_LINE_BYTES = 1 << 16;
/** Characters that are shown of a line that is too long. */
const SHOWN_CHARS = 200;
const LF = 10;

/** Takes in events; the next one is read when the promise has resolved, so that an extractor cannot flood the host. */
export type TakeEvent = (event: ExtractorEvent) => void | Promise<void>;

/** Reads the events of an extractor's standard output, one after the other. */
export async function readEvents(output: Readable, take: TakeEvent): Promise<void> {
  let parts: Buffer[] = [];
  let held = 0;
  let dropped = 0;
  const keep = (part: Buffer): void => {
    const kept = part.subarray(0, MAX_LINE_BYTES - held);
    // A copy: the rest of a chunk must not stay in memory for it.
    if (kept.length > 0) parts.push(Buffer.from(kept));
    held += kept.length;
    dropped += part.length - kept.length;
  };
  const end = async (): Promise<void> => {
    const line = Buffer.concat(parts).toString('utf8');
    const cut = dropped;
    [parts, held, dropped] = [[], 0, 0];
    if (cut === 0) await take(parseExtractorEvent(line.replace(/\r$/, '')));
    else {
      const message = `${line.slice(0, SHOWN_CHARS)}… (a line of ${MAX_LINE_BYTES + cut} bytes; the rest is dropped)`;
      await take({ event: 'log', message });
    }
  };
  for await (const chunk of output as AsyncIterable<Buffer>) {
    let from = 0;
    for (let stop = chunk.indexOf(LF); stop >= 0; stop = chunk.indexOf(LF, from)) {
      keep(chunk.subarray(from, stop));
      await end();
      from = stop + 1;
    }
    keep(chunk.subarray(from));
  }
  if (held > 0) await end();
}
