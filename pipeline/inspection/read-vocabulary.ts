import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LxmertDataError } from '../errors.ts';
import { ATTRIBUTE_CLASSES, OBJECT_CLASSES } from '../rows/row-shape.ts';

/** Names of the detector's classes; line `i` of a vocabulary is class id `i`, since stores have no background class. */
export interface Vocabulary {
  readonly objects: readonly string[];
  readonly attributes: readonly string[];
  readonly folder: string;
}

const FILES = [
  ['objects', 'objects_vocab.txt', OBJECT_CLASSES],
  ['attributes', 'attributes_vocab.txt', ATTRIBUTE_CLASSES],
] as const;

/** Reads the vocabularies in `folder`; undefined where there are none and `required` is false. */
export async function readVocabulary(folder: string, required: boolean): Promise<Vocabulary | undefined> {
  const names: Record<string, readonly string[]> = {};
  for (const [kind, file, classes] of FILES) {
    const path = join(folder, file);
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      if (!required && isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
      const what = 'the vocabulary cannot be read';
      throw new LxmertDataError('ERR_INPUT', {
        what,
        where: path,
        expected: FILES.map(([, name]) => name).join(' and '),
        cause,
      });
    });
    if (text === undefined) return undefined;
    const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
    if (lines.length !== classes) {
      throw new LxmertDataError('ERR_INPUT', {
        what: 'this is not the vocabulary of the 36-box detector',
        where: path,
        expected: `${classes} lines`,
        got: `${lines.length} lines`,
        hint: 'fetch it: lxmert-data fetch detector --kind json, or name another folder with --vocab',
      });
    }
    // Synonyms follow the first name.
    names[kind] = lines.map(line => line.replace(/,.*/s, '').trim());
  }
  return { objects: names['objects'] ?? [], attributes: names['attributes'] ?? [], folder };
}
