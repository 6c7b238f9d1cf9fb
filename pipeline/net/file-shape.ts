import type { IncomingHttpHeaders } from 'node:http';
import { MirrorFault } from './mirror-fault.ts';

/** What the first bytes of a file must look like; `part` is any later piece of a cut file. */
export type FileShape =
  'zip' | 'json' | 'json-lines' | 'tsv' | 'text' | 'torch' | 'caffe' | 'weights' | 'jpeg' | 'part';

/** Bytes of a file's beginning that checkFirstBytes wants to see, where the file has so many. */
export const SHAPE_BYTES = 512;

const PAGE = /^(?:<!doctype|<html|<\?xml|<head|<body|<error)/i;
const ERROR_JSON = /^\{\s*"(?:error|errno|error_code|error_msg|message)"/i;

/** Throws `not-the-file` where headers say that a page or an error message comes instead of the file. */
export function checkContentType(headers: IncomingHttpHeaders, shape: FileShape): void {
  const type = (headers['content-type'] ?? '').replace(/;.*/s, '').trim().toLowerCase();
  const isPage = ['text/html', 'application/xhtml+xml', 'text/xml', 'application/xml'].includes(type);
  const isJson = type === 'application/json' && shape !== 'json' && shape !== 'json-lines';
  if (isPage || isJson) throw new MirrorFault('not-the-file', `the server sends ${type} instead of the file`);
}

/** Throws `not-the-file` where a file of this shape cannot begin with these bytes. */
export function checkFirstBytes(bytes: Buffer, shape: FileShape): void {
  const text = bytes
    .subarray(0, SHAPE_BYTES)
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (shape === 'part') return;
  if (PAGE.test(text)) throw wrongBytes('a web page', shape, text);
  if (ERROR_JSON.test(text)) throw wrongBytes('an error message', shape, text);
  if (!FITS[shape](bytes, text)) throw wrongBytes('something else', shape, text);
}

/** 0x1950a86a20f9469cfc6c as a pickle writes it. */
const TORCH_NUMBER = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex');

const isZip = (bytes: Buffer): boolean => bytes.subarray(0, 4).equals(Buffer.from('PK\x03\x04'));
// A protobuf message begins with a field tag; the low bits of the ones that can come first are 0 or 2.
const isCaffe = (bytes: Buffer): boolean =>
  bytes.length > 0 && bytes[0] !== 0 && [0, 2].includes(bytes[0]! & 7);

const FITS: Readonly<Record<Exclude<FileShape, 'part'>, (bytes: Buffer, text: string) => boolean>> = {
  zip: isZip,
  json: (_bytes, text) => text.startsWith('[') || text.startsWith('{'),
  'json-lines': (_bytes, text) => text.startsWith('{'),
  // The id, then the height: no other file here has a tab so early.
  tsv: bytes => /^[^\t\n]{1,255}\t\d+\t\d+\t/.test(bytes.toString('latin1')),
  text: bytes => bytes.length > 0 && !bytes.includes(0),
  // A zip since PyTorch 1.6; before, pickles, the first of which is a number that identifies the format.
  torch: bytes => isZip(bytes) || (bytes[0] === 0x80 && bytes.subarray(0, 32).includes(TORCH_NUMBER)),
  caffe: isCaffe,
  // Of any program: a zip, a pickle (PyTorch's older form is one), a caffemodel, or safetensors with its JSON at byte 8.
  weights: bytes =>
    isZip(bytes) ||
    (bytes[0] === 0x80 && bytes[1]! <= 5) ||
    isCaffe(bytes) ||
    bytes.subarray(6, 9).equals(Buffer.from('\0\0{')),
  jpeg: bytes => bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex')),
};

function wrongBytes(what: string, shape: FileShape, text: string): MirrorFault {
  const shown = JSON.stringify(text.slice(0, 60));
  return new MirrorFault('not-the-file', `${what} comes instead of ${NAMES[shape]}; it begins with ${shown}`);
}

const NAMES: Readonly<Record<FileShape, string>> = {
  zip: 'a zip archive',
  json: 'JSON',
  'json-lines': 'JSON lines',
  tsv: 'feature rows',
  text: 'text',
  torch: 'PyTorch weights',
  caffe: 'Caffe weights',
  weights: "the detector's weights",
  jpeg: 'a JPEG image',
  part: 'a part of an archive',
};
