import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, isErrno, LxmertDataError } from '../errors.ts';
import { writeAtomically } from '../files/atomic.ts';
import { openOwn } from '../files/open-checked.ts';
import { v } from '../schema.ts';
import { type DetectorName, detectorSchema } from './contract.ts';

const MAX_BYTES = 1 << 16;

/** The detector that the rows of a folder come from, if there were any. Fails (ERR_INPUT) where its file is damaged. */
export async function readDetectorFile(folder: string): Promise<DetectorName | undefined> {
  const path = join(folder, 'detector.json');
  let file: FileHandle;
  try {
    file = await openOwn(path, { maxBytes: MAX_BYTES });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const text = await file.readFile('utf8').finally(() => file.close());
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), detectorSchema), text);
  if (parsed.success) return parsed.output;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'this is not the name of a detector',
    where: path,
    got: errorText(v.flatten(parsed.issues).root?.[0] ?? 'another form'),
    hint: `remove the folder ${folder} to start over`,
  });
}

/**
 * Names the detector of a folder's rows, or fails (ERR_INPUT) where they come from another one: a store has one only.
 * Where several hosts do this at the same time, the first one names it.
 */
export async function holdToDetector(folder: string, detector: DetectorName): Promise<void> {
  const got = JSON.stringify(detector);
  let before = await readDetectorFile(folder);
  if (before === undefined) {
    try {
      await writeAtomically(join(folder, 'detector.json'), 'json', file => file.writeFile(`${got}\n`));
      return;
    } catch (error) {
      if (!(error instanceof LxmertDataError) || error.code !== 'ERR_OUTPUT_EXISTS') throw error;
      before = await readDetectorFile(folder);
    }
  }
  const expected = JSON.stringify(before);
  if (expected === got) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the existing rows come from another detector',
    where: folder,
    expected,
    got,
    hint: 'continue with the same weights and options, or remove the folder to start over',
  });
}
