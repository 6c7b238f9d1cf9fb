export type JsonObject = Readonly<Record<string, unknown>>;

/** JSON.parse without its `any`. @throws SyntaxError */
export function parseJson(text: string): unknown {
  return JSON.parse(text);
}

/** Whether a value is an object as JSON knows it: no array, not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
