import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { checkOutput } from '../files/checks.ts';
import type { PythonValue } from '../annotations/python-json.ts';
import { listInFolderOrder, readGqa, readNlvr2 } from '../annotations/raw-files.ts';
import { writePythonList } from '../annotations/write-python-list.ts';
import type { WrittenList } from '../annotations/write-python-list.ts';

export interface MakeJsonOptions {
  readonly dataset: 'gqa' | 'nlvr2';
  /** The unpacked official set. */
  readonly rawDirectory: string;
  /** Where the files go, such as data/nlvr2; created where missing. */
  readonly outDirectory: string;
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onFile?: ((file: MadeFile) => void) | undefined;
}

export interface MadeFile extends WrittenList {
  readonly path: string;
  readonly raw: string;
}

interface Recipe {
  readonly output: string;
  readonly raw: string;
  readonly read: (path: string, signal?: AbortSignal) => AsyncIterable<readonly PythonValue[]>;
}

const gqaFile = (output: string, raw: string): Recipe => ({
  output,
  raw,
  read: (path, signal) => readGqa([path], signal),
});

const RECIPES: Readonly<Record<MakeJsonOptions['dataset'], readonly Recipe[]>> = {
  gqa: [
    gqaFile('train.json', 'train_balanced_questions.json'),
    gqaFile('valid.json', 'val_balanced_questions.json'),
    gqaFile('testdev.json', 'testdev_balanced_questions.json'),
    gqaFile('test.json', 'test_balanced_questions.json'),
    gqaFile('challenge.json', 'challenge_balanced_questions.json'),
    {
      output: 'train_all.json',
      raw: 'train_all_questions',
      async *read(path, signal) {
        yield* readGqa(await listInFolderOrder(path), signal);
      },
    },
    gqaFile('valid_all.json', 'val_all_questions.json'),
    gqaFile('testdev_all.json', 'testdev_all_questions.json'),
    gqaFile('submit.json', 'submission_all_questions.json'),
  ],
  nlvr2: [
    { output: 'train.json', raw: 'train.json', read: (path, signal) => readNlvr2(path, 'train', signal) },
    { output: 'valid.json', raw: 'dev.json', read: (path, signal) => readNlvr2(path, 'valid', signal) },
    { output: 'test.json', raw: 'test1.json', read: (path, signal) => readNlvr2(path, 'test', signal) },
  ],
};

/**
 * Makes LXMERT's JSON of whichever official files are there, byte for byte as the scripts in LXMERT's data folder do.
 * Throws ERR_INPUT where none is there or one is not what it should be, ERR_OUTPUT_EXISTS without `force`.
 */
export async function makeJson(options: MakeJsonOptions): Promise<readonly MadeFile[]> {
  const recipes: Recipe[] = [];
  for (const recipe of RECIPES[options.dataset]) {
    if (await exists(join(options.rawDirectory, recipe.raw))) recipes.push(recipe);
  }
  if (recipes.length === 0) {
    throw new LxmertDataError('ERR_INPUT', {
      what: `no official ${options.dataset === 'gqa' ? 'GQA' : 'NLVR2'} file is there`,
      where: options.rawDirectory,
      expected: RECIPES[options.dataset].map(recipe => recipe.raw).join(', '),
      hint: 'give the folder of the unpacked official set with --raw',
    });
  }
  await mkdir(options.outDirectory, { recursive: true });
  for (const recipe of recipes)
    await checkOutput(join(options.outDirectory, recipe.output), options.force === true);
  const made: MadeFile[] = [];
  for (const recipe of recipes) {
    const path = join(options.outDirectory, recipe.output);
    const raw = join(options.rawDirectory, recipe.raw);
    const file = { path, raw, ...(await writePythonList(path, recipe.read(raw, options.signal), options)) };
    made.push(file);
    options.onFile?.(file);
  }
  return made;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
