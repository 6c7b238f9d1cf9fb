import { LxmertDataError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openTsvFile } from './tsv-file.ts';
import { openZipMember } from './zip-member.ts';

/** Opens a TSV or the TSV inside a zip archive, by the ending of its name. */
export async function openRowSource(path: string, member?: string): Promise<ByteSource> {
  if (path.endsWith('.tsv')) return await openTsvFile(path);
  if (path.endsWith('.zip')) return await openZipMember([path], member);
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the kind of this file is not known by its name',
    where: path,
    expected: 'a name that ends in .tsv or .zip',
  });
}
