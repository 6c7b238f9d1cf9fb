import { writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { openWeights } from '../../../pipeline/detector/model/open-weights.ts';
import { makeTempFolder } from '../../helpers/temp.ts';

const bytes = (...parts: readonly (string | number | readonly number[])[]): Buffer =>
  Buffer.concat(
    parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part].flat()))),
  );

async function refuse(t: ExecutionContext, content: Buffer, message: RegExp): Promise<void> {
  const path = join(await makeTempFolder(t), 'weights.pkl');
  writeFileSync(path, content);
  await t.throwsAsync(openWeights(path), { code: 'ERR_INPUT', message });
}

/** Calls of the usual exploits, in the instructions of protocols 2 and 4. */
const CALLS: readonly (readonly [string, string, string])[] = [
  ['os', 'system', 'touch owned'],
  ['posix', 'system', 'touch owned'],
  ['nt', 'system', 'touch owned'],
  ['builtins', 'eval', "open('owned', 'w')"],
  ['__builtin__', 'eval', "open('owned', 'w')"],
  ['subprocess', 'Popen', 'touch owned'],
  ['runpy', '_run_code', 'x'],
  ['torch', 'load', 'x'],
  ['torch.serialization', '_load', 'x'],
  ['numpy.core.multiarray', 'fromfile', 'x'],
  ['collections', 'OrderedDict.__reduce__', 'x'],
  ['collections', '__dict__', 'x'],
];
for (const [module, name, argument] of CALLS) {
  test(`${module}.${name} is refused by name and does not run`, async t => {
    const message = new RegExp(`names ${module}.${name}, which weights do not need`.replaceAll('.', '\\.'));
    const text = (value: string): Buffer => bytes('\x8c', value.length, value);
    await refuse(
      t,
      bytes('\x80\x02c', `${module}\n${name}\n`, 'U', argument.length, argument, '\x85R.'),
      message,
    );
    await refuse(
      t,
      bytes('\x80\x04', [...text(module)], [...text(name)], '\x93', [...text(argument)], '\x85R.'),
      message,
    );
    t.false(existsSync('owned'));
  });
}

const HOSTILE: readonly (readonly [string, Buffer, RegExp])[] = [
  ['the old instruction INST', bytes('\x80\x02(S"x"\nios\nsystem\n.'), /instruction 0x53/],
  ['OBJ', bytes('\x80\x02(o.'), /instruction 0x6f/],
  ['a code of the extension registry', bytes('\x80\x02\x82\x01.'), /instruction 0x82/],
  ['NEWOBJ_EX', bytes('\x80\x02\x92.'), /instruction 0x92/],
  ['a number of a gigabyte', bytes('\x80\x02\x8b\x00\x00\x00\x40.'), /instruction 0x8b/],
  ['bytes beyond the file', bytes('\x80\x04B\xff\xff\xff\x7f.'), /beyond the end of the file/],
  ['bytes of 2^63', bytes('\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.'), /a length beyond all files/],
  ['ten million values', bytes('\x80\x02', 'N'.repeat(10_000_000), '.'), /more than 1000000 instructions/],
  [
    'a memo that doubles itself',
    bytes('\x80\x02]q\x00', 'h\x00h\x00\x86q\x00'.repeat(64), '.'),
    /it holds a tuple/,
  ],
  ['a mark without an end', bytes('\x80\x02u.'), /without its mark|without its value/],
  ['an empty memo', bytes('\x80\x02h\x07.'), /entry 7 of the memo/],
  ['a key that is a list', bytes('\x80\x02}]Ns.'), /a key that is a list/],
  ['a call of a text', bytes('\x80\x02U\x01x)R.'), /it calls string/],
  ['a storage without its form', bytes('\x80\x02U\x01xQ.'), /not a storage of PyTorch/],
  ['the end in the middle', bytes('\x80\x02}'), /it ends at byte 3/],
  ['nothing but a number', bytes('\x80\x02K\x05.'), /it holds number/],
  ['a dictionary in itself', bytes('\x80\x02}q\x00U\x05modelh\x00s.'), /not weights of this detector/],
  ['no weights', bytes('\x80\x02}.'), /not weights of this detector/],
];
for (const [name, content, message] of HOSTILE) {
  test(`${name} is refused`, async t => await refuse(t, content, message));
}
