import { Transform, type TransformCallback } from 'node:stream';

const HEADER_BYTES = 8;
const STDOUT = 1;
/** The engine's frames are far shorter; more means that this is not such a stream. */
const MAX_FRAME_BYTES = 64 << 20;

/** Takes apart what an engine sends of a container without a terminal: standard output comes out, standard error is handed to `onError`. */
export class DemuxStream extends Transform {
  readonly #onError: (text: Buffer) => void;
  #header = Buffer.alloc(0);
  #left = 0;
  #kind = 0;

  constructor(onError: (text: Buffer) => void) {
    super();
    this.#onError = onError;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        const taken = rest.subarray(0, HEADER_BYTES - this.#header.length);
        this.#header = Buffer.concat([this.#header, taken]);
        rest = rest.subarray(taken.length);
        if (this.#header.length < HEADER_BYTES) break;
        this.#kind = this.#header[0]!;
        this.#left = this.#header.readUInt32BE(4);
        this.#header = Buffer.alloc(0);
        if (this.#kind > 3 || this.#left > MAX_FRAME_BYTES) {
          done(new Error('the engine sent something other than container output'));
          return;
        }
      } else {
        const part = rest.subarray(0, this.#left);
        this.#left -= part.length;
        rest = rest.subarray(part.length);
        if (this.#kind === STDOUT) this.push(part);
        else this.#onError(part);
      }
    }
    done();
  }
}
