import { join } from 'node:path';
import { formatBytes } from '../../files/format-bytes.ts';
import { makeJson } from '../../stages/make-json.ts';
import { LxmertDataError } from '../../errors.ts';
import { type CommandSpec, textOption } from '../spec.ts';

export const makeJsonCommand: CommandSpec = {
  name: 'make-json',
  description:
    "Turns the files of the official set that it finds into LXMERT's JSON, byte for byte as the scripts in LXMERT's data folder do.",
  argument: {
    name: 'set',
    description: 'gqa or nlvr2',
    required: true,
    many: false,
    looksLike: /^(gqa|nlvr2)$/,
  },
  options: [
    { name: 'raw', value: 'DIR', description: 'the unpacked official set' },
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
    ['lxmert-data make-json gqa --raw gqa/questions1.2', 'balanced, all, submit'],
  ],
  async run(args, options, context) {
    const dataset = args[0];
    const rawDirectory = textOption(options, 'raw');
    if ((dataset !== 'gqa' && dataset !== 'nlvr2') || rawDirectory === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: rawDirectory === undefined ? 'the folder of the official set is missing' : 'unknown set',
        expected: 'make-json gqa --raw DIR, or make-json nlvr2 --raw DIR',
      });
    }
    const files = await makeJson({
      dataset,
      rawDirectory,
      outDirectory: textOption(options, 'out') ?? join(context.data, dataset),
      force: options['force'] === true,
      signal: context.signal,
      onFile: file =>
        context.print(
          `${file.path}: ${file.records} records, ${formatBytes(file.sizeBytes)}, sha256 ${file.sha256}`,
        ),
    });
    context.emit({ event: 'result', stage: 'make-json', ok: true, files });
    return true;
  },
};
