import { checkFirstBytes } from './file-shape.ts';
import { MirrorFault } from './mirror-fault.ts';
import type { DownloadSession } from './download-session.ts';
import type { OpenedRange } from './receive-range.ts';

/** A body whose length is known only at its end. It is not in the journal: a killed process begins it anew. */
export class UnknownLengthBody {
  readonly #session: DownloadSession;
  #receivedBytes = 0;

  constructor(session: DownloadSession) {
    this.#session = session;
  }

  /** Receives the body from its start, whatever came before. */
  async receive(opened: OpenedRange): Promise<void> {
    const { data, remote, options } = this.#session;
    this.#receivedBytes = 0;
    this.#session.validator = opened.accepted.validator;
    await data.startOver();
    await this.#session.receive(opened, 1, async (chunks, length) => {
      if (this.#receivedBytes === 0) checkFirstBytes(Buffer.concat(chunks), remote.shape);
      await data.write(chunks, this.#receivedBytes);
      this.#receivedBytes += length;
      options.onProgress?.(this.#receivedBytes, undefined);
    });
    if (this.#receivedBytes === 0) throw new MirrorFault('wrong-size', 'the server sends an empty file');
    this.#session.total = this.#receivedBytes;
  }

  /**
   * After a break a server may still send the rest, and then says how long the file is. Returns false where nothing was
   * received yet, or where all of it must be fetched again.
   */
  async resume(): Promise<boolean> {
    const session = this.#session;
    if (this.#receivedBytes === 0) return false;
    try {
      await this.#receiveRest();
      return true;
    } catch (error) {
      const isRefused =
        error instanceof MirrorFault && error.kind === 'changed' && session.file === undefined;
      if (!isRefused) throw error;
      session.options.onNote?.(
        `this server cannot continue the file (${error.message}): all of it is fetched again`,
      );
      this.#receivedBytes = 0;
      session.validator = undefined;
      return false;
    }
  }

  async #receiveRest(): Promise<void> {
    const session = this.#session;
    const done = this.#receivedBytes;
    if (session.validator === undefined) throw new MirrorFault('changed', 'the server names no version');
    const opened = await session.open({ start: done }, true);
    const { total, validator } = opened.accepted;
    if (total === undefined) throw new MirrorFault('changed', 'the server names no size');
    session.connections = 1;
    const segment = { start: 0, end: total, done };
    const file = await session.begin({ identity: session.remote.identity, total, validator }, [segment]);
    await session.receiveSegment(opened, file, segment, 0);
  }
}
