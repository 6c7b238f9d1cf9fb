import { LxmertDataError } from '../../errors.ts';
import { formatBytes } from '../../files.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import { type CommandSpec, textOption } from '../command.ts';
import { resolveInputs } from '../inputs.ts';

export const exportCommand: CommandSpec = {
  name: 'export',
  description:
    'Writes the rows of a store as TSV. From an f32 store that is the TSV it was converted from, byte for byte.',
  argument: {
    name: 'store',
    description: '.safetensors store',
    required: true,
    many: false,
    looksLike: /\.safetensors$/,
  },
  options: [
    { name: 'out', value: 'FILE', description: 'the TSV to write', looksLike: /\.tsv$/ },
    { name: 'force', description: 'replace an existing file' },
  ],
  examples: [
    ['lxmert-data export train2014_obj36.safetensors --out train2014_obj36.tsv', 'the original TSV'],
  ],
  async run(words, options, context) {
    const out = textOption(options, 'out');
    if (out?.endsWith('.tsv') !== true) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'export needs to know what to write',
        expected: '--out with a name that ends in .tsv',
        got: out ?? 'no --out',
      });
    }
    const [store] = resolveInputs(words, context.data);
    const result = await exportTsv({ store: store!, out, force: options['force'] === true }, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'export', ok, ...details });
    const loss = result.lossless ? '' : ' (features were rounded when the store was made)';
    context.print(`${out}: ${result.rows} rows, ${formatBytes(result.bytes)}${loss}`);
    return ok;
  },
};
