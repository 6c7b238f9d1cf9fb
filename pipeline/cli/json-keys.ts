import { isJsonObject } from '../json.ts';

/** A value with its keys in snake_case, as the JSON output has them: docs/json.md. */
export function withSnakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSnakeKeys);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`),
    withSnakeKeys(item),
  ]);
  return Object.fromEntries(entries) as unknown;
}
