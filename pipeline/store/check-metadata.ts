import { errorText } from '../errors.ts';
import { findDuplicateKey } from './duplicate-key.ts';

type Fail = (what: string, expected?: string, got?: string) => never;

const KEYS = [
  'format',
  'format_version',
  'rows',
  'dtype',
  'columns',
  'detector',
  'sources',
  'conversion',
  'tool',
  'crc32_table',
  'header_crc32',
];

/** Checks the keys and JSON values of `__metadata__` as docs/format.md has them; format, version, rows, dtype and columns are the caller's. */
export function checkMetadata(metadata: Readonly<Record<string, string>>, fail: Fail): void {
  const missing = KEYS.filter(key => metadata[key] === undefined);
  if (missing.length > 0) fail('metadata is missing', KEYS.join(', '), `no ${missing.join(', ')}`);
  const unknown = Object.keys(metadata).filter(key => !KEYS.includes(key));
  if (unknown.length > 0) fail('metadata is not known in this version', KEYS.join(', '), unknown.join(', '));
  for (const key of ['crc32_table', 'header_crc32']) {
    // Lower case only: one flipped bit would turn a digit into its capital unseen.
    if (!/^[0-9a-f]{8}$/.test(metadata[key]!)) {
      fail(`metadata ${key} is no checksum`, '8 lower-case hex digits', metadata[key]);
    }
  }
  const detector = parseObject('detector', metadata['detector']!, fail);
  for (const key of ['name', 'weights']) {
    if (typeof detector[key] !== 'string')
      fail(`metadata detector has no ${key}`, 'a string', typeof detector[key]);
  }
  if (!/^(unknown|untrained|[0-9a-f]{64})$/.test(detector['weights'] as string)) {
    fail('metadata detector names no weights', 'unknown, untrained or a sha256', String(detector['weights']));
  }
  parseObject('conversion', metadata['conversion']!, fail);
  if (!Array.isArray(parseJson('sources', metadata['sources']!, fail))) {
    fail('metadata sources is no JSON list', 'a JSON list', metadata['sources']!.slice(0, 60));
  }
}

function parseJson(key: string, text: string, fail: Fail): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`metadata ${key} cannot be read`, 'JSON', errorText(error));
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined)
    fail(`metadata ${key} names something twice`, 'each key once', JSON.stringify(duplicate));
  return value;
}

function parseObject(key: string, text: string, fail: Fail): Record<string, unknown> {
  const value = parseJson(key, text, fail);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return fail(`metadata ${key} is no JSON object`, 'a JSON object', text.slice(0, 60));
}
