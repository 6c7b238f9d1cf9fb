/**
 * Text as Python's json module writes it by default: everything outside printable ASCII as \uXXXX in lower-case hex,
 * UTF-16 unit by unit.
 */
export function formatPythonString(text: string): string {
  return `"${text.replace(/["\\]|[^\x20-\x7e]/g, escapeUnit)}"`;
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};

function escapeUnit(unit: string): string {
  return SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A whole number that Python holds as a float, so that it keeps its `.0`. */
export class PythonFloat {
  readonly value: number;

  constructor(value: number) {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a whole number`);
    this.value = value;
  }
}

export type PythonValue = string | number | PythonFloat | { readonly [key: string]: PythonValue };

/** One value as `json.dump(…, indent=4, sort_keys=True)` writes it at the given depth. Numbers must be integers. */
export function formatPythonValue(value: PythonValue, depth: number): string {
  if (typeof value === 'string') return formatPythonString(value);
  if (typeof value === 'number') return String(value);
  if (value instanceof PythonFloat) return `${value.value}.0`;
  const members = Object.entries(value).sort(([a], [b]) => compareCodePoints(a, b));
  if (members.length === 0) return '{}';
  const indent = ' '.repeat(4 * (depth + 1));
  const lines = members.map(
    ([key, member]) => `${indent}${formatPythonString(key)}: ${formatPythonValue(member, depth + 1)}`,
  );
  return `{\n${lines.join(',\n')}\n${' '.repeat(4 * depth)}}`;
}

const HIGH_UNITS = /[\ud800-\uffff]/;

/** Python sorts strings by code point, JavaScript by UTF-16 unit. */
function compareCodePoints(a: string, b: string): number {
  // The two orders differ only where a unit is a surrogate or above all surrogates.
  if (!HIGH_UNITS.test(a) && !HIGH_UNITS.test(b)) return a < b ? -1 : a > b ? 1 : 0;
  const left = Array.from(a, character => character.codePointAt(0) ?? 0);
  const right = Array.from(b, character => character.codePointAt(0) ?? 0);
  const differs = left.findIndex((point, index) => point !== right[index]);
  return differs < 0 ? left.length - right.length : (left[differs] ?? -1) - (right[differs] ?? -1);
}
