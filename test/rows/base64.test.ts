import test from 'ava';
import { decodeBase64, decodeWithBuffer } from '../../pipeline/rows/base64.ts';

const DECODERS = [
  ['the native decoder', decodeBase64],
  ['the decoder for older Node.js', decodeWithBuffer],
] as const;

/** Every byte value, with every character of the alphabet in its text. */
const BYTES = Uint8Array.from({ length: 768 }, (_, index) => (index * 7 + (index >> 3)) & 0xff);
const TEXT = Buffer.from(BYTES).toString('base64');

for (const [name, decode] of DECODERS) {
  test(`${name} gives the bytes back, into the middle of a buffer too`, t => {
    const memory = new Uint8Array(BYTES.length + 8);
    t.true(decode(TEXT, memory.subarray(4, -4)));
    t.deepEqual(memory.subarray(4, -4), BYTES);
    t.deepEqual([...memory.subarray(0, 4), ...memory.subarray(-4)], Array(8).fill(0));
  });

  for (const [what, text] of [
    ['a character of the URL alphabet', TEXT.replace('+', '-')],
    ['padding', `${TEXT.slice(0, -1)}=`],
    ['a space', `${TEXT.slice(0, -1)} `],
    ['a line feed', `${TEXT.slice(0, 40)}\n${TEXT.slice(41)}`],
    ['a letter that shares its low byte with one of the alphabet', TEXT.replace('A', '\u0141')],
    ['too few characters', TEXT.slice(4)],
    ['too many characters', `${TEXT}AAAA`],
    ['no whole number of bytes', TEXT.slice(0, -3)],
  ] as const) {
    test(`${name} refuses ${what}`, t => {
      t.not(text, TEXT);
      t.false(decode(text, new Uint8Array(BYTES.length)));
    });
  }
}
