// Part of the build: what pages are made of is text that is read at run time, so it goes into the package as it is.
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [from, to] = ['../pipeline/report/browser/', '../dist/report/browser/'].map(path =>
  fileURLToPath(new URL(path, import.meta.url)),
);
cpSync(from, to, { recursive: true, filter: path => !path.endsWith('.json') });
