import { LxmertDataError } from '../errors.ts';
import { formatBytes } from './format-bytes.ts';
import { openRegular } from './open-checked.ts';

const READ_BYTES = 1 << 20;
const LF = 10;
/** No path is this long. */
const MAX_LINE_BYTES = 1 << 16;

/**
 * Lines of a UTF-8 text file of any size, without their LF or CR LF and without a byte order mark. `check` sees each
 * block before its lines are read. Fails (ERR_INPUT) where the file is not a regular one, or a line longer than any path.
 */
export async function* readTextLines(
  path: string,
  check: (block: Buffer) => void = () => undefined,
): AsyncGenerator<string, void, undefined> {
  const file = await openRegular(path);
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (let isFirst = true; ; isFirst = false) {
      const block = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await file.read(block, 0, block.length);
      const read = block.subarray(0, bytesRead);
      const isLast = bytesRead === 0;
      if (!isLast) check(read);
      rest = rest.length === 0 ? read : Buffer.concat([rest, read]);
      // Cut at line ends, so that no character is cut in two.
      const end = isLast ? rest.length : rest.lastIndexOf(LF) + 1;
      const text = rest.toString('utf8', 0, end);
      rest = rest.subarray(end);
      yield* linesOf(isFirst ? text.replace(/^\uFEFF/, '') : text);
      if (isLast) return;
      if (rest.length > MAX_LINE_BYTES) throw tooLong(path, rest.length);
    }
  } finally {
    await file.close();
  }
}

function* linesOf(text: string): Generator<string, void, undefined> {
  const lines = text.split('\n');
  // What follows the last line end is nothing.
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
}

function tooLong(where: string, got: number): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: 'a line of this file is too long',
    where,
    expected: `at most ${formatBytes(MAX_LINE_BYTES)}`,
    got: `more than ${formatBytes(got)}`,
    hint: 'give a text file with the path of one image a line',
  });
}
