import type { FileHandle } from 'node:fs/promises';
import { isErrno, LxmertDataError } from '../../errors.ts';
import { writeAtomically } from '../../files/atomic.ts';
import { openOwn } from '../../files/open-checked.ts';
import { v } from '../../schema.ts';

const MAX_BYTES = 64 << 20;

/** Reads a JSON file of the plan's folder; undefined where there is none. Fails (ERR_INPUT) where it is another form. */
export async function readJsonFile<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
): Promise<v.InferOutput<Schema> | undefined> {
  let file: FileHandle;
  try {
    file = await openOwn(path, { maxBytes: MAX_BYTES });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const text = await file.readFile('utf8').finally(() => file.close());
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'this file of a planned extraction is damaged, or of another version',
    where: path,
    expected: issue.expected ?? undefined,
    got: `${issue.received.slice(0, 80)}${v.getDotPath(issue) === null ? '' : ` at ${String(v.getDotPath(issue))}`}`,
    hint: 'restore it, or plan anew in another folder',
  });
}

/** Replaces a JSON file as a whole. */
export async function writeJsonFile(path: string, value: unknown, isNew = false): Promise<void> {
  const text = `${JSON.stringify(value, null, 1)}\n`;
  await writeAtomically(path, 'json', file => file.writeFile(text), { force: !isNew });
}
