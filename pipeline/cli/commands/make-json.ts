import { basename, join } from 'node:path';
import { formatBytes } from '../../files/format-bytes.ts';
import { loadManifest } from '../../manifest/load.ts';
import { makeJson } from '../../stages/make-json.ts';
import { LxmertDataError } from '../../errors.ts';
import { type CommandSpec, textOption } from '../spec.ts';

export const makeJsonCommand: CommandSpec = {
  name: 'make-json',
  description:
    "Turns the files of the official set that it finds into LXMERT's JSON. GQA and NLVR2 become byte for byte what the scripts in LXMERT's data folder write; VQA follows the rule that LXMERT's author named, and its counts, answers and known labels are checked.",
  argument: {
    name: 'set',
    description: 'vqa, gqa or nlvr2',
    required: true,
    many: false,
    looksLike: /^(vqa|gqa|nlvr2)$/,
  },
  options: [
    { name: 'raw', value: 'DIR', description: 'the official set, unpacked; of vqa also as its zips' },
    {
      name: 'out',
      short: 'o',
      value: 'DIR',
      description: 'where the files go (default: the set below the data root)',
    },
    { name: 'force', short: 'f', description: 'replace existing files' },
  ],
  examples: [
    ['lxmert-data make-json nlvr2 --raw nlvr/nlvr2/data', 'train.json, valid.json, test.json'],
    [
      'lxmert-data make-json vqa --raw downloads',
      'train, nominival, minival and test of the five official zips',
    ],
    ['lxmert-data make-json gqa --raw gqa/questions1.2', 'balanced, all, submit'],
  ],
  async run(args, options, context) {
    const dataset = args[0];
    const rawDirectory = textOption(options, 'raw');
    if ((dataset !== 'vqa' && dataset !== 'gqa' && dataset !== 'nlvr2') || rawDirectory === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: rawDirectory === undefined ? 'the folder of the official set is missing' : 'unknown set',
        expected: 'make-json vqa --raw DIR; also gqa and nlvr2',
      });
    }
    const counts = await countsOf(dataset);
    const files = await makeJson({
      dataset,
      records: dataset === 'vqa' ? counts : undefined,
      rawDirectory,
      outDirectory: textOption(options, 'out') ?? join(context.data, dataset),
      force: options['force'] === true,
      signal: context.signal,
      onRecords(path, done) {
        const total = Math.max(done, counts[basename(path)] ?? done);
        const what = { input: path, done, total, unit: 'records' } as const;
        context.emit({ event: 'progress', stage: 'make-json', ...what });
      },
      onFile: file =>
        context.print(
          `${file.path}: ${file.records} records, ${formatBytes(file.sizeBytes)}, sha256 ${file.sha256}`,
        ),
    });
    context.emit({ event: 'result', stage: 'make-json', ok: true, files });
    const records = files.reduce((sum, file) => sum + file.records, 0);
    const next = `lxmert-data verify ${dataset}`;
    context.finish(`${files.length} files, ${records} records`, { done: records, unit: 'records', next });
    return true;
  },
};

/** How many records the manifest knows of each file of a dataset, by base name. */
async function countsOf(dataset: string): Promise<Record<string, number | undefined>> {
  const { assets } = await loadManifest();
  return Object.fromEntries(
    Object.entries(assets).flatMap(([name, asset]) =>
      name.startsWith(`${dataset}/`) && asset.kind === 'json'
        ? [[basename(name), asset.records] as const]
        : [],
    ),
  );
}
