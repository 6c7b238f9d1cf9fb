import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const TOOL_VERSION = manifest.version;
/** Name and version, as stores and reports carry it. */
export const TOOL = `lxmert-data ${TOOL_VERSION}`;
