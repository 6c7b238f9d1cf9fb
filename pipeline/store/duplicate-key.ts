/**
 * The first key that stands twice in one object of a JSON text, or undefined. JSON.parse keeps the last one silently, other readers
 * the first, so a file with duplicates means different things to different programs. The text must be valid JSON.
 */
export function findDuplicateKey(json: string): string | undefined {
  const objects: (Set<string> | undefined)[] = [];
  let expectKey = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at]!;
    if (char === '{') {
      objects.push(new Set());
      expectKey = true;
    } else if (char === '[') {
      objects.push(undefined);
      expectKey = false;
    } else if (char === '}' || char === ']') {
      objects.pop();
      expectKey = false;
    } else if (char === ',') expectKey = objects.at(-1) !== undefined;
    else if (char === '"') {
      const end = endOfString(json, at);
      if (expectKey) {
        const key = JSON.parse(json.slice(at, end)) as string;
        const keys = objects.at(-1)!;
        if (keys.has(key)) return key;
        keys.add(key);
        expectKey = false;
      }
      at = end - 1;
    }
  }
  return undefined;
}

function endOfString(json: string, begin: number): number {
  let at = begin + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
