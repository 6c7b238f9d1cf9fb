import { isJsonObject, parseJson } from './json.ts';
import { readFileSync } from 'node:fs';

const manifest = parseJson(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

export const TOOL_VERSION = isJsonObject(manifest) ? String(manifest['version']) : 'unknown';
/** Name and version, as stores and reports carry it. */
export const TOOL = `lxmert-data ${TOOL_VERSION}`;
