import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LxmertDataError } from '../../errors.ts';
import { readEvents, type TakeEvent } from '../event-lines.ts';
import type { ExtractorEnd, RunningExtractor } from '../process.ts';
import { DemuxStream } from './demux.ts';
import { isEngineGone } from './engine-errors.ts';
import { explainEnd } from './end-reasons.ts';
import type { ContainerBody, Engine } from './engine.ts';

const KEPT_WORDS = 4000;

export interface ContainerStart {
  readonly engine: Engine;
  readonly name: string;
  readonly body: ContainerBody;
  /** Makes sure, before and after the start, that the folders which the container gets are still the same. */
  readonly checkFolders: () => Promise<unknown>;
  /** Seconds to wait for an engine that does not answer. */
  readonly engineWaitSeconds: number;
  readonly warn: (message: string) => void;
}

/** Runs an extractor in a container, which is removed when it ends, whatever the reason. */
export function startContainerExtractor(
  { engine, name, body, checkFolders, engineWaitSeconds, warn }: ContainerStart,
  onEvent: TakeEvent,
): RunningExtractor {
  const stdin = new PassThrough();
  const killed = new AbortController();
  let stderrTail = '';
  let hasStarted = false;
  const run = async (): Promise<ExtractorEnd> => {
    const away = `the Docker engine does not answer; waiting up to ${engineWaitSeconds} s for it`;
    await engine.waitForAnswer(engineWaitSeconds, killed.signal, () => warn(away));
    await checkFolders();
    const { id, stream } = await engine.startContainer(name, body, killed.signal);
    hasStarted = true;
    const remove = (): void => void engine.removeInTheEnd(id);
    killed.signal.addEventListener('abort', remove, { once: true });
    if (killed.signal.aborted) remove();
    try {
      await checkFolders();
      // It may exit before it has read its input; `ended` reports that.
      stdin.pipe(stream).on('error', () => undefined);
      const output = new DemuxStream(
        part => (stderrTail = (stderrTail + part.toString()).slice(-KEPT_WORDS)),
      );
      // Writing to a container that dies may break the connection; `ended` reports why it died.
      const isWhole = await pipeline(stream, output, async source => await readEvents(source, onEvent)).then(
        () => true,
        () => false,
      );
      const state = await engine.readEnd(id);
      if (state === undefined || (!isWhole && state.exitCode === 0))
        return {
          code: null,
          signal: null,
          why: 'the connection to the container broke',
          isFromOutside: true,
          stderrTail: stderrTail.trim(),
        };
      return explainEnd({
        ...state,
        stderrTail: stderrTail.trim(),
        memoryBytes: body.HostConfig?.Memory ?? 0,
      });
    } finally {
      killed.signal.removeEventListener('abort', remove);
      await engine.removeInTheEnd(id);
    }
  };
  const ended = run().catch((error: unknown): ExtractorEnd => {
    if (killed.signal.aborted) return { code: null, signal: 'SIGKILL', stderrTail: stderrTail.trim() };
    const why = error instanceof LxmertDataError ? error.parts.what : String(error);
    const text = error instanceof LxmertDataError ? error.message : stderrTail.trim();
    // An engine that went away while the container ran may be back soon; what else fails here fails again.
    const isFromOutside = hasStarted && isEngineGone(error);
    return { code: null, signal: null, why, stderrTail: text, isFromOutside, isFinal: !isFromOutside };
  });
  return {
    send: batch => void stdin.write(`${JSON.stringify(batch)}\n`),
    finish: () => stdin.end(),
    kill: () => killed.abort(),
    ended,
  };
}
