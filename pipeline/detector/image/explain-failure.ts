import { errorText, LxmertDataError } from '../../errors.ts';
import type { ImageFormat } from './image-format.ts';

/** sharp's placeholder when libvips gives no message. */
export const WORDLESS = 'Unknown error';
const CHUNKS_AT = 8;

/** Makes the failure of a decoder an error that says which file, what it should be and what it is. */
export function explainFailure(
  error: unknown,
  path: string,
  { bytes, format }: { readonly bytes: Buffer; readonly format: ImageFormat },
): LxmertDataError {
  if (error instanceof LxmertDataError) {
    return new LxmertDataError(error.code, { ...error.parts, where: error.parts.where ?? path });
  }
  const found = format === 'PNG' ? describePngEnd(bytes) : undefined;
  const reasons = [found, cleanMessage(errorText(error))].filter(
    reason => reason !== undefined && reason !== '',
  );
  return new LxmertDataError('ERR_IMAGE', {
    what: 'cannot read the image',
    where: path,
    expected: `a whole and valid ${format} file`,
    got: `a damaged one of ${bytes.length} bytes${reasons.length === 0 ? '' : `: ${reasons.join('; ')}`}`,
    hint: 'download or copy it again, or leave it out',
    cause: error,
  });
}

function cleanMessage(message: string): string {
  // Images that fail at the same time append to the same buffer.
  const lines = new Set(message.replace(/^Input buffer has corrupt header:/, '').split('\n'));
  const text = [...lines].join(' ').trim().replaceAll(/\s+/g, ' ');
  return text === WORDLESS ? '' : text;
}

/** Where a PNG ends that is shorter than its chunks. */
function describePngEnd(png: Buffer): string | undefined {
  let position = CHUNKS_AT;
  while (position < png.length) {
    if (position + 8 > png.length) return 'it ends inside the header of a chunk';
    const name = png.toString('latin1', position + 4, position + 8).replaceAll(/[^A-Za-z]/g, '?');
    const end = position + 12 + png.readUInt32BE(position);
    if (end > png.length) {
      return `it ends inside a chunk ${name}, which would reach to byte ${end}`;
    }
    if (name === 'IEND') return undefined;
    position = end;
  }
  return 'it ends before its last chunk (IEND)';
}
