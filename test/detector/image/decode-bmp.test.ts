import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import test from 'ava';
import { decodeBmp } from '../../../pipeline/detector/image/decode-bmp.ts';
import { type BmpParts, makeBmp } from '../../helpers/bmp.ts';
import { sharedPath, testWithShared } from '../../helpers/shared.ts';

const [K, R, G, B] = [
  [0, 0, 0],
  [1, 2, 250],
  [3, 240, 4],
  [230, 5, 6],
] as const;
const PALETTE = [K, R, G, B];

/** Rows from the top: indices of the palette above. */
function colours(...rows: readonly string[]): Uint8Array {
  return Uint8Array.from(
    rows
      .join('')
      .split('')
      .flatMap(index => [...PALETTE[Number(index)]!]),
  );
}

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

const READ: readonly (readonly [string, BmpParts, Uint8Array])[] = [
  [
    '1 bit, from the bottom up',
    { width: 9, height: 2, bits: 1, palette: [K, R], data: bytes('80 80 00 00  40 00 00 00') },
    colours('010000000', '100000001'),
  ],
  [
    '4 bits, rows filled to four bytes',
    { width: 3, height: 2, bits: 4, palette: PALETTE, data: bytes('12 30 00 00  32 10 00 00') },
    colours('321', '123'),
  ],
  [
    '8 bits, from the top down',
    { width: 3, height: -2, bits: 8, palette: PALETTE, data: bytes('01 02 03 00  03 02 01 00') },
    colours('123', '321'),
  ],
  [
    'pixels that do not follow the palette',
    { width: 3, height: 1, bits: 8, palette: PALETTE, gap: 6, data: bytes('03 02 01 00') },
    colours('321'),
  ],
  [
    'an index without a colour is black',
    { width: 2, height: 1, bits: 8, palette: PALETTE, data: bytes('02 ff 00 00') },
    colours('20'),
  ],
  [
    "OS/2's header of 12 bytes",
    { width: 3, height: 1, bits: 4, headerSize: 12, palette: PALETTE, data: bytes('32 10 00 00') },
    colours('321'),
  ],
  [
    "OS/2's header of 64 bytes",
    { width: 3, height: 1, bits: 4, headerSize: 64, palette: PALETTE, data: bytes('32 10 00 00') },
    colours('321'),
  ],
  [
    'RLE8: runs, literals, a jump, the end of a line and of the picture',
    {
      width: 6,
      height: 3,
      bits: 8,
      compression: 1,
      palette: PALETTE,
      // Bottom: 3 x 1, literal 2 3 1. Then a line that is left at once; then two to the right and 2 x 3.
      data: bytes('03 01  00 03 02 03 01 00  00 00  01 02  00 02 01 01  02 03  00 01'),
    },
    colours('003300', '200000', '111231'),
  ],
  [
    'RLE4: runs of two colours in turn and literals',
    {
      width: 5,
      height: 2,
      bits: 4,
      compression: 2,
      palette: PALETTE,
      data: bytes('05 12  00 00  00 05 32 10 20 00  00 01'),
    },
    colours('32102', '12121'),
  ],
  [
    'RLE without its mark at the end',
    { width: 3, height: 1, bits: 8, compression: 1, palette: PALETTE, data: bytes('03 02') },
    colours('222'),
  ],
  [
    '16 bits, 5 a colour, shifted up as OpenCV does it',
    { width: 2, height: 1, bits: 16, data: bytes('ff 7f  1f 00') },
    Uint8Array.from([248, 248, 248, 248, 0, 0]),
  ],
  [
    '16 bits with masks of 5, 6 and 5',
    {
      width: 2,
      height: 1,
      bits: 16,
      compression: 3,
      masks: [0xf800, 0x7e0, 0x1f],
      data: bytes('e0 07  00 f8'),
    },
    Uint8Array.from([0, 252, 0, 0, 0, 248]),
  ],
  [
    '24 bits, the padding of the last row missing',
    { width: 1, height: 2, bits: 24, data: bytes('01 02 03 00  04 05 06') },
    Uint8Array.from([4, 5, 6, 1, 2, 3]),
  ],
  [
    '32 bits, the fourth byte ignored',
    { width: 1, height: 1, bits: 32, data: bytes('01 02 03 80') },
    Uint8Array.from([1, 2, 3]),
  ],
  [
    '32 bits with masks up to the highest bit',
    {
      width: 1,
      height: 1,
      bits: 32,
      compression: 3,
      masks: [0xff000000, 0xff0000, 0xff00],
      data: bytes('00 01 02 fe'),
    },
    Uint8Array.from([1, 2, 0xfe]),
  ],
];
for (const [name, parts, expected] of READ) {
  test(`BMP: ${name}`, t => {
    const bitmap = decodeBmp(makeBmp(parts));
    t.deepEqual([bitmap.height, bitmap.width], [Math.abs(parts.height), parts.width]);
    t.deepEqual(bitmap.pixels, expected);
  });
}

const PLAIN: BmpParts = { width: 3, height: 2, bits: 24, data: Buffer.alloc(24) };
const RLE: BmpParts = {
  width: 3,
  height: 1,
  bits: 8,
  compression: 1,
  palette: PALETTE,
  data: bytes('03 02 00 01'),
};
const REFUSED: readonly (readonly [string, Buffer, RegExp])[] = [
  ['a header of unknown size', change(makeBmp(PLAIN), 14, 41), /header has an unknown size[^]*41 bytes/],
  ['nothing behind its first bytes', makeBmp(PLAIN).subarray(0, 16), /header has an unknown size/],
  ['half a header', makeBmp(PLAIN).subarray(0, 30), /ends early[^]*54 bytes[^]*30 bytes/],
  ['no width', change(makeBmp(PLAIN), 18, 0), /no pixels[^]*0 x 2/],
  ['a negative width', change(makeBmp(PLAIN), 18, 0xfffffffd), /no pixels/],
  ['the lowest height', change(makeBmp(PLAIN), 22, 0x80000000), /6442450944 pixels are more than 268435456/],
  ['too many pixels', change(change(makeBmp(PLAIN), 18, 70_000), 22, 70_000), /4900000000 pixels/],
  ['3 bits', makeBmp({ ...PLAIN, bits: 3 }), /3 bits/],
  ['an embedded JPEG', makeBmp({ ...PLAIN, bits: 0, compression: 4 }), /0 bits/],
  ['a compression of another depth', makeBmp({ ...PLAIN, compression: 1 }), /number 1 with 24 bits/],
  ["OS/2's RLE24", makeBmp({ ...PLAIN, headerSize: 64, compression: 4 }), /RLE24/],
  ['pixels inside the header', change(makeBmp(PLAIN), 10, 20), /begin inside its header/],
  ['pixels behind the file', change(makeBmp(PLAIN), 10, 0xffffffff), /ends early/],
  ['pixels that end early', makeBmp({ ...PLAIN, data: Buffer.alloc(20) }), /ends early[^]*75[^]*74/],
  [
    'a mask with a hole',
    makeBmp({ ...PLAIN, bits: 32, compression: 3, masks: [0xff0000, 0xff00, 0xf1] }),
    /masks[^]*0xf1/,
  ],
  ['an empty mask', makeBmp({ ...PLAIN, bits: 32, compression: 3, masks: [0, 0xff00, 0xff] }), /masks/],
  [
    'a mask beyond the pixel',
    makeBmp({ ...PLAIN, bits: 16, compression: 3, masks: [0xff0000, 0xff00, 0xff] }),
    /masks/,
  ],
  ['RLE from the top down', makeBmp({ ...RLE, height: -1 }), /from the top down/],
  ['RLE that ends early', makeBmp({ ...RLE, data: bytes('02 01') }), /ends early/],
  ['RLE that ends in a literal', makeBmp({ ...RLE, data: bytes('00 03 01') }), /ends early/],
  ['a run that leaves its line', makeBmp({ ...RLE, data: bytes('04 01 00 01') }), /leaves the picture/],
  ['a jump out of the picture', makeBmp({ ...RLE, data: bytes('00 02 00 09 01 01') }), /leaves the picture/],
  ['a run above the picture', makeBmp({ ...RLE, data: bytes('00 00 01 01 00 01') }), /leaves the picture/],
];
for (const [name, file, message] of REFUSED) {
  test(`a BMP with ${name} is refused by name`, t => {
    t.throws(() => decodeBmp(file), { code: 'ERR_IMAGE', message });
  });
}

function change(file: Buffer, position: number, value: number): Buffer {
  file.writeUInt32LE(value, position);
  return file;
}

// CRC-32 of the pixels that OpenCV and Pillow give, blue first; of rgb32bf.bmp, which OpenCV reads wrongly and Pillow not
// at all, that of NumPy with the masks of the file.
for (const [name, crc] of [
  ['imagemagick-16-colours.bmp', '9be24979'],
  ['pal4.bmp', 'd4484139'],
  ['pal8os2.bmp', '342d7070'],
  ['pal8rle.bmp', '342d7070'],
  ['rgb32bf.bmp', '515d2836'],
] as const) {
  testWithShared(`${name} has the pixels of the reference`, ['cases', 'files', name], t => {
    const { pixels } = decodeBmp(readFileSync(sharedPath('cases', 'files', name)));
    t.is(crc32(pixels).toString(16), crc);
  });
}
