/**
 * Text from outside as a page may show it: characters that end lines, cannot be seen or turn the direction of writing are written out
 * as `\u{…}`, so that two names that differ look different. Escaping for HTML comes on top.
 */
export function showAll(text: string): string {
  return text.toWellFormed().replace(HIDDEN, char => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

// C0, C1, soft hyphen, Arabic letter mark, zero-width and directional marks, line separators, variation and tag characters,
// and the two that XML has no place for.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ufffe\uffff\u{e0000}-\u{e0fff}]/gu;

/** Characters of a line that a terminal gets; file names and reasons from outside may have any length. */
const MAX_LINE_CHARS = 4000;

/**
 * Text as a terminal may get it: line ends and tabs stay, every other character that moves the cursor, rings, colours,
 * hides or turns the direction of writing is written out, and overlong lines are cut.
 */
export function showOnTerminal(text: string): string {
  return text
    .split('\n')
    .map(line => line.split('\t').map(showAll).join('\t'))
    .map(line =>
      line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)}… (${line.length} characters)` : line,
    )
    .join('\n');
}

/** The first few of a list, for messages. */
export function listSome(names: readonly string[], most = 5): string {
  return names.slice(0, most).join(', ') + (names.length > most ? ', …' : '');
}

/** A count for people: 82 783 with thin spaces, as no language misreads it. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/** A number with about three digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (value === 0 || Number.isInteger(value)) return String(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(3)));
}

export function formatPercent(share: number): string {
  const percent = share * 100;
  return `${percent === 0 ? '0' : percent < 0.1 ? percent.toPrecision(1) : percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

/** A cosine or overlap with four digits, but never 1 for a value that is only close to it. */
export function formatSimilarity(value: number): string {
  const text = value.toFixed(4);
  return text === '1.0000' && value < 1 ? `1 − ${(1 - value).toExponential(0)}` : text;
}

/** Length of the longest text, for columns; 0 without any. */
export function longest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, text.length), 0);
}
