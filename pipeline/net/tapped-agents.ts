import { Agent as HttpAgent } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';
import { DirectBody } from './direct-body.ts';

/** Headers and small bodies are read in pieces of this size. */
const READ_BYTES = 64 << 10;
/** Smaller bodies go through the parser, after which their connection can be used again. */
const MIN_DIRECT_BYTES = 256 << 10;
const HEAD_END = Buffer.from('\r\n\r\n');

/** Wants the body of an answer directly, if its connection can do that. */
export interface BodyOffer {
  readonly destroy: (error?: Error) => void;
  isOpen: boolean;
  body: DirectBody | undefined;
}

interface Candidate {
  readonly response: IncomingMessage;
  readonly length: number;
  readonly offer: BodyOffer;
}

/** What a socket has read goes to the HTTP parser, until an answer is taken over by a DirectBody. */
class SocketTap {
  readonly #memory = Buffer.allocUnsafeSlow(READ_BYTES);
  #candidate: Candidate | undefined;
  #body: DirectBody | undefined;
  readonly onread: OnReadOpts;

  constructor() {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the callback's own `this` is the socket
    const tap = this;
    this.onread = {
      buffer: () => tap.#body?.nextMemory() ?? tap.#memory,
      callback(this: Socket, length: number): boolean {
        TAPS.set(this, tap);
        return tap.#read(this, length);
      },
    };
  }

  /** To be called when the headers of an answer are there and none of its body is. */
  consider(response: IncomingMessage, offer: BodyOffer): void {
    const { 'content-length': length, 'transfer-encoding': coding } = response.headers;
    const isFile = response.statusCode === 200 || response.statusCode === 206;
    if (!isFile || coding !== undefined || length === undefined || !/^\d+$/.test(length)) return;
    if (Number(length) >= MIN_DIRECT_BYTES) {
      this.#candidate = { response, length: Number(length), offer };
    }
  }

  #read(socket: Socket, length: number): boolean {
    if (this.#body !== undefined) return this.#body.accept(length);
    const bytes = this.#memory.subarray(0, length);
    // The parser copies what belongs to a body before the next read.
    socket.emit('data', bytes);
    const candidate = this.#candidate;
    this.#candidate = undefined;
    if (candidate?.offer.isOpen !== true) return true;
    // Both must say where the body begins: what the parser took for body, and the end of the headers before it.
    const first = length - candidate.response.readableLength;
    if (!bytes.subarray(Math.max(first - HEAD_END.length, 0), first).equals(HEAD_END)) return true;
    this.#body = new DirectBody({
      length: candidate.length,
      first: bytes.subarray(first),
      resume: () => socket.resume(),
      destroy: candidate.offer.destroy,
    });
    candidate.offer.body = this.#body;
    return false;
  }
}

const TAPS = new WeakMap<Socket, SocketTap>();

/** Notes the wish for the body of an answer; where nothing comes of it, the body comes through the parser as always. */
export function offerDirectBody(response: IncomingMessage, offer: BodyOffer): void {
  TAPS.get(response.socket)?.consider(response, offer);
}

/** Connections whose bodies can be taken directly. Those to a proxy are made elsewhere and stay as they are. */
export class TappedAgent extends HttpAgent {
  override createConnection(
    ...[options, callback]: Parameters<HttpAgent['createConnection']>
  ): ReturnType<HttpAgent['createConnection']> {
    return super.createConnection({ ...options, onread: new SocketTap().onread } as typeof options, callback);
  }
}

/** The same for https. */
export class TappedTlsAgent extends HttpsAgent {
  override createConnection(
    ...[options, callback]: Parameters<HttpsAgent['createConnection']>
  ): ReturnType<HttpsAgent['createConnection']> {
    return super.createConnection({ ...options, onread: new SocketTap().onread } as typeof options, callback);
  }
}
