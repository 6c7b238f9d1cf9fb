import { isJsonObject } from '../json.ts';

/** An object with its keys in snake_case, as the JSON output has them: docs/json.md. */
export function withSnakeKeys(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [snakeKey(key), snakeValue(item)]));
}

function snakeKey(key: string): string {
  return key.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

function snakeValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeValue);
  return isJsonObject(value) ? withSnakeKeys(value) : value;
}
