/** Order in which `split` wrote its parts: by letters (aa, ab, …) or by number, also where numbers have no leading zeros. */
export function comparePartNames(a: string, b: string): number {
  const left = suffixOf(a);
  const right = suffixOf(b);
  const bothNumbers = /^\d+$/.test(left) && /^\d+$/.test(right);
  if (bothNumbers && Number(left) !== Number(right)) return Number(left) - Number(right);
  if (left.length !== right.length && !bothNumbers) return left.length - right.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Name of the whole file that a part belongs to, or undefined where the name is not that of a part of a zip. */
export function wholeNameOf(part: string): string | undefined {
  return /^(.+\.zip)\.(?!partial$|md5$|sha256$|txt$)[A-Za-z0-9]+$/.exec(part)?.[1];
}

function suffixOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
