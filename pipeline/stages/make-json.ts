import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LxmertDataError } from '../errors.ts';
import { checkOutput } from '../files/checks.ts';
import type { PythonValue } from '../annotations/python-json.ts';
import { listInFolderOrder, readGqa, readNlvr2 } from '../annotations/raw-files.ts';
import { findVqaQuestions, listVqaOutputs, planVqa, type VqaInput } from '../annotations/make-vqa.ts';
import { questionsOf } from '../annotations/vqa-official.ts';
import { loadVqaRule, type VqaRule } from '../annotations/vqa-rule.ts';
import { writePythonList } from '../annotations/write-python-list.ts';
import type { WrittenList } from '../annotations/write-python-list.ts';
import { makeFolder } from '../files/make-folder.ts';

export interface MakeJsonOptions {
  readonly dataset: 'gqa' | 'nlvr2' | 'vqa';
  /** The unpacked official set. */
  readonly rawDirectory: string;
  /** Where the files go, such as data/nlvr2; created where missing. */
  readonly outDirectory: string;
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears now and then how many records of a file were written. */
  readonly onRecords?: ((path: string, records: number) => void) | undefined;
  readonly onFile?: ((file: MadeFile) => void) | undefined;
  /** Of vqa: how many records each output must have, such as `train.json`. */
  readonly records?: Readonly<Record<string, number | undefined>> | undefined;
  /** Of vqa: other images and another rule than the published ones, for sets of other questions. */
  readonly vqa?: (Pick<VqaInput, 'minival'> & { readonly rule?: VqaRule | undefined }) | undefined;
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

const RECIPES: Readonly<Record<'gqa' | 'nlvr2', readonly Recipe[]>> = {
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
 * Makes LXMERT's JSON of whichever official files are there: of GQA and NLVR2 byte for byte as the scripts in LXMERT's
 * data folder do, of VQA by the rule of manifests/vqa-rule.json. Throws ERR_INPUT where none is there or one is not what it should be, ERR_OUTPUT_EXISTS without `force`.
 */
export async function makeJson(options: MakeJsonOptions): Promise<readonly MadeFile[]> {
  const { dataset } = options;
  const outputs = dataset === 'vqa' ? await planVqaOutputs(options) : await planOutputs(dataset, options);
  const made: MadeFile[] = [];
  for (const { output, raw, read } of outputs) {
    const path = join(options.outDirectory, output);
    const check = (list: WrittenList): Promise<void> => {
      checkRecords(path, list, options.records?.[output]);
      return Promise.resolve();
    };
    const { force, signal } = options;
    const onRecords = (records: number): void => options.onRecords?.(path, records);
    const list = await writePythonList(path, read(signal), { force, check, onRecords });
    const file = { path, raw, ...list };
    made.push(file);
    options.onFile?.(file);
  }
  return made;
}

interface Output {
  readonly output: string;
  readonly raw: string;
  readonly read: (signal?: AbortSignal) => AsyncIterable<readonly PythonValue[]>;
}

async function planOutputs(dataset: 'gqa' | 'nlvr2', options: MakeJsonOptions): Promise<readonly Output[]> {
  const outputs: Output[] = [];
  for (const { output, raw: name, read } of RECIPES[dataset]) {
    const raw = join(options.rawDirectory, name);
    if (await exists(raw)) outputs.push({ output, raw, read: signal => read(raw, signal) });
  }
  if (outputs.length === 0) {
    const expected = RECIPES[dataset].map(recipe => recipe.raw).join(', ');
    throw noOfficialFile(dataset === 'gqa' ? 'GQA' : 'NLVR2', expected, options.rawDirectory);
  }
  await checkOutputs(outputs, options);
  return outputs;
}

async function planVqaOutputs(options: MakeJsonOptions): Promise<readonly Output[]> {
  const { rawDirectory, signal, vqa } = options;
  const questions = await findVqaQuestions(rawDirectory);
  const outputs = listVqaOutputs(questions).map(output => ({ output }));
  if (outputs.length === 0) {
    const zips = (['train2014', 'val2014', 'test2015'] as const).map(split => questionsOf(split).zip);
    throw noOfficialFile('VQA 2.0', zips.join(', '), rawDirectory);
  }
  // The annotations take a while to read, so what is in the way is reported before.
  await checkOutputs(outputs, options);
  return await planVqa({
    rawDirectory,
    questions,
    signal,
    minival: vqa?.minival,
    rule: vqa?.rule ?? (await loadVqaRule()),
  });
}

async function checkOutputs(
  outputs: readonly { readonly output: string }[],
  { outDirectory, force }: Pick<MakeJsonOptions, 'outDirectory' | 'force'>,
): Promise<void> {
  await makeFolder(outDirectory);
  for (const { output } of outputs) await checkOutput(join(outDirectory, output), force === true);
}

function checkRecords(where: string, { records }: WrittenList, expected: number | undefined): void {
  if (expected === undefined || records === expected) return;
  throw new LxmertDataError('ERR_INPUT', {
    what: 'the official files give another number of records than LXMERT has',
    where,
    expected: `${expected} records`,
    got: `${records} records`,
    hint: 'are the official files complete and unchanged?',
  });
}

function noOfficialFile(set: string, expected: string, where: string): LxmertDataError {
  return new LxmertDataError('ERR_INPUT', {
    what: `no official ${set} file is there`,
    where,
    expected,
    hint: 'give the folder of the official set with --raw',
  });
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
