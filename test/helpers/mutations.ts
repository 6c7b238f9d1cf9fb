/** Changes of the kind that disks, downloads, editors and enemies make. */

export type Random = () => number;

/** Bytes with a meaning somewhere on the way. */
const MEANINGFUL = [
  '"',
  '""',
  '\t',
  '\t\t',
  ' ',
  '\r',
  '\n',
  '\r\n',
  '\0',
  '=',
  '-',
  '_',
  '+',
  '/',
  '0',
  '00',
  '36',
  '\xa0',
  '\xff',
  '\xef\xbb\xbf',
  '\xc3\xa9',
  '\x0b',
  '\x1b',
  '{',
  '}',
  ',',
  '\\',
  '[',
  ':',
  '1e3',
  'NaN',
];

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!;
}

/** A place in the bytes; half the time near a `hot` one, where the structure is. */
function choosePlace(random: Random, length: number, hot: readonly number[]): number {
  if (hot.length === 0 || random() < 0.3) return Math.floor(random() * length);
  const near = pick(random, hot) + Math.floor(random() * 13) - 6;
  return Math.min(Math.max(near, 0), Math.max(length - 1, 0));
}

/** The bytes with one to three changes; `hot` are places worth hitting. */
export function mutate(random: Random, bytes: Buffer, hot: readonly number[]): Buffer {
  let result = bytes;
  const changes = 1 + Math.floor(random() * random() * 3);
  for (let change = 0; change < changes; change++) result = mutateOnce(random, result, hot);
  return result;
}

function mutateOnce(random: Random, bytes: Buffer, hot: readonly number[]): Buffer {
  const at = choosePlace(random, bytes.length, hot);
  const splice = (end: number, insert: Buffer): Buffer =>
    Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(end)]);
  switch (Math.floor(random() * 8)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[at]! ^= 1 << Math.floor(random() * 8);
      return copy;
    }
    case 1:
      return splice(at, Buffer.from(pick(random, MEANINGFUL), 'latin1'));
    case 2: {
      const text = Buffer.from(pick(random, MEANINGFUL), 'latin1');
      return splice(at + text.length, text);
    }
    case 3:
      return splice(at + 1 + Math.floor(random() * 8), Buffer.alloc(0));
    case 4:
      return bytes.subarray(0, at);
    case 5: {
      const from = choosePlace(random, bytes.length, hot);
      return splice(at, bytes.subarray(from, from + Math.floor(random() * 64)));
    }
    case 6:
      return splice(Math.floor(at + random() * (bytes.length - at)), Buffer.alloc(0));
    default: {
      const copy = Buffer.from(bytes);
      return copy.fill(
        pick(random, [0, 255, 32, 65]),
        at,
        Math.min(copy.length, at + Math.floor(random() * 16)),
      );
    }
  }
}
