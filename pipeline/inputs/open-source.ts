import { LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openStandardInput, STDIN } from './stdin-source.ts';
import { openTsvFile } from './tsv-file.ts';
import { openZipMember } from './zip-member.ts';
import { findZipParts } from './zip-parts.ts';

/** Opens a TSV or the TSV inside a zip archive, by the ending of its name; any part of a cut zip stands for all of them. */
export async function openRowSource(path: string, member?: string): Promise<ByteSource> {
  if (path === STDIN) return openStandardInput();
  const name = path.toLowerCase();
  if (name.endsWith('.tsv')) return await openTsvFile(path);
  if (name.endsWith('.zip')) return await openZipMember([path], member);
  const parts = await findZipParts(path);
  if (parts !== undefined && parts.length > 0) return await openZipMember(parts, member);
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the kind of this file is not known by its name',
    where: path,
    expected: 'a name that ends in .tsv or .zip',
    hint: name.endsWith('.safetensors')
      ? 'this is a store already: verify checks it, export writes its TSV'
      : undefined,
  });
}
