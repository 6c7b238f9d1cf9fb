import { type FileHandle, stat } from 'node:fs/promises';
import { isErrno, LxmertDataError } from '../../errors.ts';
import { openOwn } from '../../files/open-checked.ts';
import type { ByteSource } from '../../inputs/byte-source.ts';
import { unitFile } from './layout.ts';
import type { ClusterPlan } from './plan.ts';

const LF = 10;
const TAB = 9;
/** An id is shorter. */
const MAX_ID_BYTES = 1024;

/** The units of a plan as one TSV in its order; each row is held to the image that the plan has there. */
export class UnitSource implements ByteSource {
  readonly name: string;
  readonly label: string;
  readonly size: number;
  readonly #plan: ClusterPlan;
  /** Images that need no row, by img_id. */
  readonly #excused: ReadonlySet<string>;
  #unit = -1;
  #file: FileHandle | undefined;
  #check: OrderCheck | undefined;

  private constructor(plan: ClusterPlan, size: number, options: UnitSourceOptions) {
    this.name = options.name;
    this.label = `${plan.folder} (${options.name})`;
    this.size = size;
    this.#plan = plan;
    this.#excused = options.excused;
  }

  /** Fails (ERR_INPUT) where a unit is missing. */
  static async open(plan: ClusterPlan, options: UnitSourceOptions): Promise<UnitSource> {
    let size = 0;
    for (let unit = 0; unit < plan.units; unit++) size += (await stat(unitFile(plan.folder, unit))).size;
    return new UnitSource(plan, size, options);
  }

  async read(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#file === undefined && !(await this.#openNext())) break;
      const { bytesRead } = await this.#file!.read(into, filled, into.length - filled);
      if (bytesRead === 0) await this.#endUnit();
      else this.#check?.take(Buffer.from(into.buffer, into.byteOffset + filled, bytesRead));
      filled += bytesRead;
    }
    return filled;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #openNext(): Promise<boolean> {
    this.#unit++;
    if (this.#unit >= this.#plan.units) return false;
    const path = unitFile(this.#plan.folder, this.#unit);
    const images = await this.#plan.readUnit(this.#unit);
    this.#check = new OrderCheck(
      path,
      images.map(({ img_id: id }) => id),
      this.#excused,
    );
    try {
      this.#file = await openOwn(path);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) throw wrongUnit(path, 'the rows of this unit', 'no file any more');
      throw error;
    }
    return true;
  }

  async #endUnit(): Promise<void> {
    await this.close();
    this.#check?.end();
  }
}

export interface UnitSourceOptions {
  readonly name: string;
  readonly excused: ReadonlySet<string>;
}

/** Holds the first column of a stream of rows to a list of ids, without decoding anything. */
class OrderCheck {
  readonly #path: string;
  readonly #ids: readonly string[];
  readonly #excused: ReadonlySet<string>;
  #next = 0;
  /** Bytes of an id so far; undefined within a row. */
  #id: Buffer | undefined = Buffer.alloc(0);

  constructor(path: string, ids: readonly string[], excused: ReadonlySet<string>) {
    this.#path = path;
    this.#ids = ids;
    this.#excused = excused;
  }

  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#id === undefined) {
        const end = bytes.indexOf(LF, at);
        if (end < 0) return;
        this.#id = Buffer.alloc(0);
        at = end + 1;
        continue;
      }
      const tab = bytes.indexOf(TAB, at);
      const end = tab < 0 ? bytes.length : tab;
      const part = bytes.subarray(at, Math.min(end, at + MAX_ID_BYTES));
      this.#id = this.#id.length === 0 ? Buffer.from(part) : Buffer.concat([this.#id, part]);
      if (this.#id.length > MAX_ID_BYTES) throw wrongUnit(this.#path, 'rows', 'something else');
      if (tab >= 0) this.#takeId();
      at = end;
    }
  }

  end(): void {
    this.#skipExcused(undefined);
    const isWhole = this.#id?.length === 0;
    const left = this.#ids[this.#next];
    if (isWhole && left === undefined) return;
    throw wrongUnit(
      this.#path,
      left === undefined ? 'whole rows' : `a row for ${left}`,
      'the end of the file',
    );
  }

  #takeId(): void {
    const id = this.#id?.toString('utf8') ?? '';
    this.#skipExcused(id);
    if (this.#ids[this.#next] !== id)
      throw wrongUnit(this.#path, this.#ids[this.#next] ?? 'the end of the file', JSON.stringify(id));
    this.#next++;
    this.#id = undefined;
  }

  #skipExcused(id: string | undefined): void {
    for (
      let next = this.#ids[this.#next];
      next !== undefined && next !== id;
      next = this.#ids[++this.#next]
    ) {
      if (!this.#excused.has(next)) return;
    }
  }
}

function wrongUnit(where: string, expected: string, got: string): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'this unit is not what the plan has there',
    where,
    expected,
    got,
    hint: `remove ${where} and run a worker again: lxmert-data extract --plan FOLDER --worker 1/1`,
  });
}
