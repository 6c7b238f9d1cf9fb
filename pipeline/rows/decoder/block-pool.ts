import { storedFeatureBytes, type FeatureDtype } from '../feature-dtype.ts';
import { RECORD_BYTES } from '../row-record.ts';

/** Room before the read position for the unfinished line of the block before; a longer line is not a row. */
export const CARRY_BYTES = 1 << 20;
export const READ_BYTES = 8 << 20;
/** No row of 36 boxes is shorter; shorter lines get no slot. */
export const SMALLEST_ROW_BYTES = 393_216;
/** Room to begin `features` at an address that suits the writer. */
const ALIGNMENT_ROOM = 4096;
export const SLOTS = Math.ceil((CARRY_BYTES + READ_BYTES) / SMALLEST_ROW_BYTES);

/** Memory of one piece of work, shared with the worker threads: text in, features and records out. */
export interface Block {
  readonly id: number;
  readonly text: SharedArrayBuffer;
  readonly features: SharedArrayBuffer;
  /** Where the first slot begins in `features`. */
  readonly featuresAt: number;
  readonly records: SharedArrayBuffer;
}

/** A fixed number of blocks, so that memory stays flat whatever the input's size. */
export class BlockPool {
  readonly #free: Block[] = [];
  readonly #waiting: ((block: Block) => void)[] = [];

  constructor(count: number, dtype: FeatureDtype, align: (memory: SharedArrayBuffer) => number = () => 0) {
    for (let id = 0; id < count; id++) {
      const features = new SharedArrayBuffer(SLOTS * storedFeatureBytes(dtype) + ALIGNMENT_ROOM);
      this.#free.push({
        id,
        text: new SharedArrayBuffer(CARRY_BYTES + READ_BYTES),
        features,
        featuresAt: align(features),
        records: new SharedArrayBuffer(SLOTS * RECORD_BYTES),
      });
    }
  }

  async take(): Promise<Block> {
    return this.#free.pop() ?? (await new Promise<Block>(resolve => this.#waiting.push(resolve)));
  }

  giveBack(block: Block): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(block);
    else next(block);
  }
}
