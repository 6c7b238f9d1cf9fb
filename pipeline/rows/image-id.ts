import { MAX_ID_BYTES } from './row-record.ts';

// C0, DEL and C1 move a terminal's cursor; marks of direction and line separators make one name look like another.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

export const ID_RULE = `printable UTF-8 of 1 to ${MAX_ID_BYTES} bytes`;

/** What is wrong with an img_id; undefined where nothing is. */
export function describeIdFault(id: string): string | undefined {
  if (id === '') return 'nothing';
  if (id.includes('\ufffd')) return 'bytes that are not UTF-8';
  if (id.startsWith('\ufeff')) return 'a byte order mark before the id';
  if (CONTROLS.test(id)) return `control characters or marks of direction in ${showId(id.slice(0, 60))}`;
  if (Buffer.byteLength(id) > MAX_ID_BYTES) return `${Buffer.byteLength(id)} bytes`;
  return undefined;
}

function showId(id: string): string {
  return JSON.stringify(id).replace(/[\u007f-\uffff]/g, char =>
    CONTROLS.test(char) ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : char,
  );
}
