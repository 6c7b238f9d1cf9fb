import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInterface } from 'node:readline';
import { LxmertDataError } from '../../errors.ts';
import { type ExtractorEvent, parseExtractorEvent } from '../contract.ts';
import type { ExtractorEnd, RunningExtractor } from '../process.ts';
import { DemuxStream } from './demux.ts';
import { explainEnd } from './end-reasons.ts';
import type { ContainerBody, Engine } from './engine.ts';

const KEPT_WORDS = 4000;

/** Runs an extractor in a container, which is removed when it ends, whatever the reason. */
export function startContainerExtractor(
  engine: Engine,
  name: string,
  body: ContainerBody,
  onEvent: (event: ExtractorEvent) => void,
): RunningExtractor {
  const stdin = new PassThrough();
  const killed = new AbortController();
  let stderrTail = '';
  const run = async (): Promise<ExtractorEnd> => {
    const { id, stream } = await engine.startContainer(name, body, killed.signal);
    const remove = (): void => void engine.removeContainer(id).catch(() => undefined);
    killed.signal.addEventListener('abort', remove, { once: true });
    if (killed.signal.aborted) remove();
    try {
      // It may exit before it has read its input; `ended` reports that.
      stdin.pipe(stream).on('error', () => undefined);
      const output = new DemuxStream(
        part => (stderrTail = (stderrTail + part.toString()).slice(-KEPT_WORDS)),
      );
      const lines = createInterface({ input: output });
      lines.on('line', line => onEvent(parseExtractorEvent(line)));
      // After the close every line has been handed on.
      const read = once(lines, 'close');
      // Writing to a container that dies may break the connection; `ended` reports why it died.
      const whole = await pipeline(stream, output).then(
        () => true,
        () => false,
      );
      if (whole) await read;
      const state = await engine.readEnd(id);
      if (state === undefined || (!whole && state.exitCode === 0))
        return {
          code: null,
          signal: null,
          why: 'the connection to the container broke',
          stderrTail: stderrTail.trim(),
        };
      return explainEnd({
        ...state,
        stderrTail: stderrTail.trim(),
        memoryBytes: body.HostConfig?.Memory ?? 0,
      });
    } finally {
      killed.signal.removeEventListener('abort', remove);
      await engine.removeContainer(id).catch(() => undefined);
    }
  };
  const ended = run().catch((error: unknown): ExtractorEnd => {
    if (killed.signal.aborted) return { code: null, signal: 'SIGKILL', stderrTail: stderrTail.trim() };
    const why = error instanceof LxmertDataError ? error.parts.what : String(error);
    const text = error instanceof LxmertDataError ? error.message : stderrTail.trim();
    return { code: null, signal: null, why, stderrTail: text };
  });
  return {
    send: batch => void stdin.write(`${JSON.stringify(batch)}\n`),
    finish: () => stdin.end(),
    kill: () => killed.abort(),
    ended,
  };
}
