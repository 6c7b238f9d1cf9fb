import { Agent as HttpAgent } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { OnReadOpts, Socket } from 'node:net';
import type { DirectBody } from './direct-body.ts';

/*
 * The part of the fast body path that meets Node's sockets: see fast-body.ts for what it is for. It rests on `onread`
 * of node:net, which Node documents, and on the parser being fed by the socket's `data` event, which it does not;
 * test/net/direct-body.test.ts is the contract that every Node in use must keep.
 */

/** Headers and small bodies are read in pieces of this size. */
const READ_BYTES = 64 << 10;
/** Smaller bodies go through the parser, after which their connection can be used again. */
const MIN_DIRECT_BYTES = 256 << 10;
const HEAD_END = Buffer.from('\r\n\r\n');

/** Creates the body that takes over, unless it is no longer wanted. */
export type TakeOver = (connection: {
  readonly length: number;
  /** The bytes of the body that came together with the headers. */
  readonly first: Buffer;
  readonly resume: () => void;
}) => DirectBody | undefined;

interface Candidate {
  readonly response: IncomingMessage;
  readonly length: number;
  readonly takeOver: TakeOver;
}

/** Hands what a socket has read to the HTTP parser, until a DirectBody takes over. */
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

  consider(response: IncomingMessage, takeOver: TakeOver): void {
    const { 'content-length': length, 'transfer-encoding': coding } = response.headers;
    const isFile = response.statusCode === 200 || response.statusCode === 206;
    if (!isFile || coding !== undefined || length === undefined || !/^\d+$/.test(length)) return;
    if (Number(length) < MIN_DIRECT_BYTES) return;
    this.#candidate = { response, length: Number(length), takeOver };
  }

  /** Returns whether the socket is to read on. */
  #read(socket: Socket, length: number): boolean {
    if (this.#body !== undefined) return this.#body.accept(length);
    const bytes = this.#memory.subarray(0, length);
    // The parser copies what belongs to a body before the next read.
    socket.emit('data', bytes);
    const candidate = this.#candidate;
    this.#candidate = undefined;
    if (candidate === undefined) return true;
    // Both must say where the body begins: what the parser took for body, and the end of the headers before it.
    const start = length - candidate.response.readableLength;
    if (!bytes.subarray(Math.max(start - HEAD_END.length, 0), start).equals(HEAD_END)) return true;
    const first = bytes.subarray(start);
    this.#body = candidate.takeOver({ length: candidate.length, first, resume: () => socket.resume() });
    return this.#body === undefined;
  }
}

const TAPS = new WeakMap<Socket, SocketTap>();

/** To be called when the headers of a response are there and none of its body is read. */
export function considerResponse(response: IncomingMessage, takeOver: TakeOver): void {
  TAPS.get(response.socket)?.consider(response, takeOver);
}

/** Connections whose bodies can be taken over. Those to a proxy are made elsewhere and stay as they are. */
export class FastHttpAgent extends HttpAgent {
  override createConnection(
    ...[options, callback]: Parameters<HttpAgent['createConnection']>
  ): ReturnType<HttpAgent['createConnection']> {
    return super.createConnection({ ...options, onread: new SocketTap().onread } as typeof options, callback);
  }
}

/** The same for https. */
export class FastHttpsAgent extends HttpsAgent {
  override createConnection(
    ...[options, callback]: Parameters<HttpsAgent['createConnection']>
  ): ReturnType<HttpsAgent['createConnection']> {
    return super.createConnection({ ...options, onread: new SocketTap().onread } as typeof options, callback);
  }
}
