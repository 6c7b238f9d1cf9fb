import { isJsonObject } from '../json.ts';
import { LxmertDataError } from '../errors.ts';
import { readRegular } from '../files/open-checked.ts';
import {
  type FileSchema,
  findSchema,
  type RecordSchemaName,
  type TableSchemaName,
} from './record-schemas.ts';
import { parseElement, parseEntry, readTopLevel, type TopLevelElement } from './top-level.ts';

const SHOWN_CHARACTERS = 200;

/** Counts the records of a file, each of which must have the fields of its schema. Throws ERR_INPUT. */
export async function countRecords(path: string, name: RecordSchemaName | TableSchemaName): Promise<number> {
  const schema = findSchema(name);
  if (schema.holds === 'lines') {
    const lines = (await readRegular(path)).toString('utf8').split('\n');
    return lines.filter(line => line.trim() !== '').length;
  }
  let count = 0;
  for await (const elements of readTopLevel(path, schema.holds === 'entries' ? 'object' : 'array')) {
    for (const element of elements) {
      count++;
      if (fits(path, element, schema)) continue;
      const fields = requiredFields(schema);
      throw new LxmertDataError('ERR_INPUT', {
        what: `record ${count} is not a record of ${name}`,
        where: path,
        expected: fields.length === 0 ? 'text' : `an object with ${fields.join(', ')}`,
        got: element.text.trim().slice(0, SHOWN_CHARACTERS),
      });
    }
  }
  return count;
}

function fits(path: string, element: TopLevelElement, schema: FileSchema): boolean {
  if (schema.holds === 'entries') {
    parseEntry(path, element);
    return true;
  }
  const record = parseElement(path, element);
  if (schema.holds === 'texts') return typeof record === 'string';
  if (!isJsonObject(record)) return false;
  return schema.fields.every(({ name, rules, isOptional = false }) => {
    if (!Object.hasOwn(record, name)) return isOptional;
    return !rules.includes('text') || typeof record[name] === 'string';
  });
}

function requiredFields({ fields }: FileSchema): string[] {
  return fields.filter(({ isOptional }) => isOptional !== true).map(({ name }) => name);
}
