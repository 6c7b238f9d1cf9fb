import { titleOf } from '../html-document.ts';
import { showText } from '../problem.ts';

/** What a file is that was taken for another kind, and what to do about it. */
export interface FileKind {
  /** With its article: `an HTML page titled "Quota exceeded"`. */
  readonly what: string;
  readonly hint: string;
}

interface Rule {
  readonly matches: (bytes: Buffer, text: string) => boolean;
  readonly what: string | ((text: string) => string);
  readonly hint: string;
}

const starts =
  (...hex: readonly string[]) =>
  (bytes: Buffer): boolean =>
    hex.some(prefix => bytes.subarray(0, prefix.length / 2).equals(Buffer.from(prefix, 'hex')));

const DOWNLOAD_AGAIN = 'it was saved in place of the file; download the file again, from another mirror';

const RULES: readonly Rule[] = [
  {
    matches: (_, text) => /^\s*(<!doctype html|<html|<head|<body)/i.test(text),
    what: describePage,
    hint: DOWNLOAD_AGAIN,
  },
  {
    matches: (_, text) => /^\s*<(\?xml|error)/i.test(text),
    what: 'an XML message of a server',
    hint: DOWNLOAD_AGAIN,
  },
  {
    matches: (_, text) => /^\s*\{\s*"(error|errno|message)/i.test(text),
    what: 'an error message of a server',
    hint: DOWNLOAD_AGAIN,
  },
  {
    matches: (_, text) => text.startsWith('version https://git-lfs.'),
    what: 'a Git LFS pointer, not the file itself',
    hint: 'fetch the content: git lfs pull',
  },
  { matches: starts('1f8b'), what: 'gzip-compressed', hint: 'unpack it first: gunzip FILE' },
  { matches: starts('377abcaf271c'), what: 'a 7z archive', hint: 'unpack it first: 7z x FILE' },
  { matches: starts('28b52ffd'), what: 'Zstandard-compressed', hint: 'unpack it first: unzstd FILE' },
  { matches: starts('fd377a585a00'), what: 'xz-compressed', hint: 'unpack it first: unxz FILE' },
  { matches: starts('425a68'), what: 'bzip2-compressed', hint: 'unpack it first: bunzip2 FILE' },
  { matches: starts('526172211a07'), what: 'a RAR archive', hint: 'unpack it first: unar FILE' },
  {
    matches: bytes => bytes.toString('latin1', 257, 262) === 'ustar',
    what: 'a tar archive',
    hint: 'unpack it first: tar xf FILE',
  },
  {
    matches: starts('504b0304', '504b0506'),
    what: 'a zip archive',
    hint: 'give it a name that ends in .zip',
  },
  {
    matches: starts('504b0708', '504b3030504b0304'),
    what: 'the first part of a split zip archive',
    hint: 'join the parts first: zip -s 0 X.zip --out whole.zip',
  },
  { matches: starts('894844460d0a1a0a'), what: 'an HDF5 file', hint: 'features in HDF5 are not read' },
  { matches: starts('934e554d5059'), what: 'a NumPy array', hint: 'features in .npy are not read' },
  {
    matches: bytes => bytes.length >= 9 && bytes[8] === 0x7b && bytes.readBigUInt64LE() < 1n << 32n,
    what: 'a safetensors file',
    hint: 'a store ends in .safetensors; verify, inspect and export take it',
  },
  {
    matches: bytes => bytes.length >= 4 && starts('fffe', 'feff')(bytes),
    what: 'UTF-16 text',
    hint: 'convert it: iconv -f UTF-16 -t UTF-8 FILE',
  },
  {
    matches: bytes => bytes.length > 0 && bytes.every(byte => byte === 0),
    what: 'nothing but zero bytes',
    hint: 'the space was reserved and never written; download or copy it again',
  },
];

/** Bytes of the beginning of a file that `fileKindOf` looks at. */
export const KIND_BYTES = 4096;

/** Recognises a file by its first bytes; undefined for everything that is not in the list. */
export function fileKindOf(head: Buffer): FileKind | undefined {
  const bytes = head.subarray(0, KIND_BYTES);
  const text = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  const rule = RULES.find(({ matches }) => matches(bytes, text));
  if (rule === undefined) return undefined;
  return { what: typeof rule.what === 'string' ? rule.what : rule.what(text), hint: rule.hint };
}

function describePage(text: string): string {
  const title = titleOf(text);
  return title === undefined ? 'an HTML page' : `an HTML page titled ${JSON.stringify(showText(title, 80))}`;
}
