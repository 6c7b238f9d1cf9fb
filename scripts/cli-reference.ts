/** Writes docs/cli.md from the command specs: `node scripts/cli-reference.ts`. A test holds the file to them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderCliReference } from '../pipeline/cli/reference.ts';

await writeFile(join(import.meta.dirname, '..', 'docs', 'cli.md'), await renderCliReference());
