import type { RandomAccess } from '../../../inputs/random-access.ts';
import { callGlobal, isAllowed, loadPersistent, PickleFault, setState } from './pickle-globals.ts';
import { isKind, nameValue, type PickleDict, type PickleValue } from './pickle-values.ts';
import { PickleInput } from './pickle-input.ts';

/** A pickle of these weights has some 30,000 instructions; one with far more is made to fill the memory. */
const MAX_INSTRUCTIONS = 1_000_000;

/**
 * Reads one pickle of protocol 2 to 5 that begins at `offset`, without ever running code: only the globals of a closed
 * list have a meaning, and only the instructions that weights need are known. Large bytes stay in the file.
 *
 * @throws PickleFault naming what is not allowed or damaged
 */
export async function readPickle(
  access: RandomAccess,
  offset: number,
): Promise<{ readonly value: PickleValue; readonly end: number }> {
  const input = new PickleInput(access, offset);
  const machine = new PickleMachine();
  for (let count = 0; ; count++) {
    if (count > MAX_INSTRUCTIONS) throw new PickleFault(`more than ${MAX_INSTRUCTIONS} instructions`);
    await input.fill();
    const code = input.byte();
    if (code === STOP) return { value: machine.pop(), end: input.offset };
    const step = STEPS.get(code);
    if (step === undefined)
      throw new PickleFault(`the instruction 0x${code.toString(16)}, which weights do not need`);
    await step(machine, input);
  }
}

const STOP = 0x2e;
const MARK = Symbol('mark');

class PickleMachine {
  readonly #stack: (PickleValue | typeof MARK)[] = [];
  readonly #memo = new Map<number, PickleValue>();

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  mark(): void {
    this.#stack.push(MARK);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw new PickleFault('an instruction without its value');
    return value;
  }

  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw new PickleFault('an instruction without its value');
    return value;
  }

  /** Values above the last mark, which goes too. */
  popMark(): PickleValue[] {
    const begin = this.#stack.lastIndexOf(MARK);
    if (begin === -1) throw new PickleFault('an instruction without its mark');
    return this.#stack.splice(begin).filter(value => value !== MARK);
  }

  popMany(count: number): PickleValue[] {
    const values = Array.from({ length: count }, () => this.pop());
    return values.reverse();
  }

  memoise(index = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw new PickleFault(`entry ${index} of the memo, which is empty`);
    this.push(value);
  }
}

type Step = (machine: PickleMachine, input: PickleInput) => void | Promise<void>;

const tuple = (items: readonly PickleValue[]): PickleValue => ({ kind: 'tuple', items });

const STEPS: ReadonlyMap<number, Step> = new Map<number, Step>([
  [0x80, (_machine, input) => void input.byte()], // PROTO
  [0x95, (_machine, input) => void input.length(8)], // FRAME
  [0x28, machine => machine.mark()], // MARK
  [0x30, machine => void machine.pop()], // POP
  [0x31, machine => void machine.popMark()], // POP_MARK
  [0x4e, machine => machine.push(null)], // NONE
  [0x88, machine => machine.push(true)], // NEWTRUE
  [0x89, machine => machine.push(false)], // NEWFALSE
  [0x4a, (machine, input) => machine.push(input.int32())], // BININT
  [0x4b, (machine, input) => machine.push(input.byte())], // BININT1
  [0x4d, (machine, input) => machine.push(input.length(2))], // BININT2
  [0x8a, (machine, input) => machine.push(input.long(input.byte()))], // LONG1
  [0x47, (machine, input) => machine.push(input.double())], // BINFLOAT
  [0x55, async (machine, input) => machine.push(await input.text(input.byte(), 'latin1'))], // SHORT_BINSTRING
  [0x54, async (machine, input) => machine.push(await input.bytes(input.length(4)))], // BINSTRING
  [0x8c, async (machine, input) => machine.push(await input.text(input.byte(), 'utf8'))], // SHORT_BINUNICODE
  [0x58, async (machine, input) => machine.push(await input.text(input.length(4), 'utf8'))], // BINUNICODE
  [0x8d, async (machine, input) => machine.push(await input.text(input.length(8), 'utf8'))], // BINUNICODE8
  [0x43, async (machine, input) => machine.push(await input.bytes(input.byte()))], // SHORT_BINBYTES
  [0x42, async (machine, input) => machine.push(await input.bytes(input.length(4)))], // BINBYTES
  [0x8e, async (machine, input) => machine.push(await input.bytes(input.length(8)))], // BINBYTES8
  [0x96, async (machine, input) => machine.push(await input.bytes(input.length(8)))], // BYTEARRAY8
  [0x5d, machine => machine.push([])], // EMPTY_LIST
  [0x7d, machine => machine.push({ kind: 'dict', entries: new Map() })], // EMPTY_DICT
  [0x29, machine => machine.push(tuple([]))], // EMPTY_TUPLE
  [0x85, machine => machine.push(tuple(machine.popMany(1)))], // TUPLE1
  [0x86, machine => machine.push(tuple(machine.popMany(2)))], // TUPLE2
  [0x87, machine => machine.push(tuple(machine.popMany(3)))], // TUPLE3
  [0x74, machine => machine.push(tuple(machine.popMark()))], // TUPLE
  [0x6c, machine => machine.push(machine.popMark())], // LIST
  [0x64, machine => machine.push(setItems({ kind: 'dict', entries: new Map() }, machine.popMark()))], // DICT
  [0x61, machine => append(machine, machine.popMany(1))], // APPEND
  [0x65, machine => append(machine, machine.popMark())], // APPENDS
  [0x73, machine => setItemsOfTop(machine, machine.popMany(2))], // SETITEM
  [0x75, machine => setItemsOfTop(machine, machine.popMark())], // SETITEMS
  [0x63, async (machine, input) => pushGlobal(machine, await input.line(), await input.line())], // GLOBAL
  [
    0x93, // STACK_GLOBAL
    machine => {
      const [module, name] = machine.popMany(2);
      pushGlobal(machine, module, name);
    },
  ],
  [0x52, machine => call(machine)], // REDUCE
  [0x81, machine => call(machine)], // NEWOBJ
  [
    0x62, // BUILD
    machine => {
      const state = machine.pop();
      setState(machine.top(), state);
    },
  ],
  [0x51, machine => machine.push(loadPersistent(machine.pop()))], // BINPERSID
  [0x71, (machine, input) => machine.memoise(input.byte())], // BINPUT
  [0x72, (machine, input) => machine.memoise(input.length(4))], // LONG_BINPUT
  [0x94, machine => machine.memoise()], // MEMOIZE
  [0x68, (machine, input) => machine.recall(input.byte())], // BINGET
  [0x6a, (machine, input) => machine.recall(input.length(4))], // LONG_BINGET
]);

function pushGlobal(machine: PickleMachine, module?: PickleValue, name?: PickleValue): void {
  if (typeof module !== 'string' || typeof name !== 'string')
    throw new PickleFault('a global without a name');
  const global = `${module} ${name}`;
  if (!isAllowed(global)) throw new PickleFault(`it names ${module}.${name}, which weights do not need`);
  machine.push({ kind: 'global', name: global });
}

function call(machine: PickleMachine): void {
  const [callee, args] = machine.popMany(2);
  if (!isKind(callee, 'global') || !isKind(args, 'tuple'))
    throw new PickleFault(`it calls ${nameValue(callee)} with ${nameValue(args)}`);
  machine.push(callGlobal(callee.name, args.items));
}

function append(machine: PickleMachine, items: readonly PickleValue[]): void {
  const list = machine.top();
  if (!Array.isArray(list)) throw new PickleFault(`it appends to ${nameValue(list)}`);
  for (const item of items) list.push(item);
}

function setItemsOfTop(machine: PickleMachine, items: readonly PickleValue[]): void {
  const dict = machine.top();
  if (!isKind(dict, 'dict')) throw new PickleFault(`it sets items of ${nameValue(dict)}`);
  setItems(dict, items);
}

function setItems(dict: PickleDict, items: readonly PickleValue[]): PickleDict {
  if (items.length % 2 !== 0) throw new PickleFault('a key without its value');
  for (let index = 0; index < items.length; index += 2) {
    const key = items[index];
    if (typeof key !== 'string' && typeof key !== 'number')
      throw new PickleFault(`a key that is ${nameValue(key)}`);
    dict.entries.set(key, items[index + 1]!);
  }
  return dict;
}
