import { parseJson } from '../json.ts';

/**
 * The first key that stands twice in one object of a JSON text, or undefined. JSON.parse keeps the last one silently, other readers
 * the first, so a file with duplicates means different things to different programs. The text must be valid JSON.
 */
export function findDuplicateKey(json: string): string | undefined {
  // Keys of each object that is open; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let expectKey = false;
  for (let at = 0; at < json.length; at++) {
    const char = json.charAt(at);
    if (char === '"') {
      const end = endOfString(json, at);
      const key = expectKey ? String(parseJson(json.slice(at, end))) : undefined;
      if (key !== undefined && open.at(-1)?.has(key) === true) return key;
      if (key !== undefined) open.at(-1)?.add(key);
      expectKey = false;
      at = end - 1;
    } else expectKey = readPunctuation(char, open) ?? expectKey;
  }
  return undefined;
}

/** Opens and closes objects and arrays; whether a key comes next, undefined where that does not change. */
function readPunctuation(char: string, open: (Set<string> | undefined)[]): boolean | undefined {
  switch (char) {
    case '{':
      open.push(new Set());
      return true;
    case '[':
      open.push(undefined);
      return false;
    case '}':
    case ']':
      open.pop();
      return false;
    case ',':
      return open.at(-1) !== undefined;
    default:
      return undefined;
  }
}

function endOfString(json: string, begin: number): number {
  let at = begin + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
