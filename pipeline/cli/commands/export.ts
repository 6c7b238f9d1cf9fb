import { LxmertDataError } from '../../errors.ts';
import { EXPORT_FORMATS, type ExportFormat, findExportFormat } from '../../export/formats.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { exportWithPython } from '../../stages/export-python.ts';
import type { ExportResult } from '../../export/export-result.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from '../spec.ts';
import { resolveStores } from '../inputs.ts';

const FORMAT_LIST = EXPORT_FORMATS.map(({ name, openedBy }) => `  ${name.padEnd(15)} for ${openedBy}`).join(
  '\n',
);

export const exportCommand: CommandSpec = {
  name: 'export',
  description: `Writes the rows of a store in the format of another code base. As TSV, from an f32 store, that is the one it was converted from, byte for byte.

Formats (docs/export.md has their layouts):
${FORMAT_LIST}`,
  argument: {
    name: 'store',
    description: '.safetensors store',
    required: true,
    many: false,
    looksLike: /\.safetensors$/,
  },
  options: [
    {
      name: 'to',
      value: 'FORMAT',
      description: 'one of the formats above (default tsv)',
      looksLike: /^[a-z0-9-]+$/,
    },
    {
      name: 'out',
      short: 'o',
      value: 'PATH',
      description: 'the file or folder to write',
      looksLike: /^(?!.*\.safetensors$)/,
    },
    {
      name: 'dtype',
      value: 'DTYPE',
      description: 'of the features, where a format has both (default f32)',
      choices: ['f32', 'f16'],
    },
    {
      name: 'python',
      value: 'COMMAND',
      description: 'the Python that writes all but TSV (default python3); nothing is installed into it',
      looksLike: /python/,
    },
    { name: 'force', short: 'f', description: 'replace an existing export' },
  ],
  examples: [
    ['lxmert-data export train2014_obj36.safetensors --out train2014_obj36.tsv', 'the original TSV'],
    ['lxmert-data export val2014_obj36.safetensors --to hdf5-groups --out val2014_obj36.h5', 'for VL-T5'],
    [
      'lxmert-data export val2014_obj36.safetensors --to arrow --dtype f16 --out val.arrow',
      'for datasets, half the size',
    ],
    [
      'lxmert-data export val2014_obj36.safetensors --to mmf-lmdb --out val.lmdb --python venv/bin/python',
      'for MMF',
    ],
  ],
  async run(args, options, context) {
    const format = findExportFormat(textOption(options, 'to') ?? 'tsv');
    const out = checkOut(format, textOption(options, 'out'));
    const [store] = resolveStores(args, context.data);
    const result = await writeExport({ format, store: store ?? '', out }, options, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'export', ok, to: format.name, ...details });
    const loss = result.lossless ? '' : ' (features were rounded)';
    context.print(`${out}: ${result.rows} rows, ${formatBytes(result.bytes)}${loss}`);
    return ok;
  },
};

function checkOut(format: ExportFormat, out: string | undefined): string {
  const { suffixes } = format;
  if (out !== undefined && (suffixes.length === 0 || suffixes.some(suffix => out.endsWith(suffix))))
    return out;
  const kind =
    suffixes.length === 0
      ? ' with the name of a folder'
      : ` with a name that ends in ${suffixes.join(' or ')}`;
  throw new LxmertDataError('ERR_USAGE', {
    what: 'export needs to know what to write',
    expected: `--out${kind}`,
    got: out ?? 'no --out',
    hint: format.name === 'tsv' ? '--to names another format; --help lists them' : undefined,
  });
}

interface ExportRequest {
  readonly format: ExportFormat;
  readonly store: string;
  readonly out: string;
}

async function writeExport(
  { format, store, out }: ExportRequest,
  options: OptionValues,
  context: CommandContext,
): Promise<ExportResult> {
  const dtype = options['dtype'] === 'f16' ? 'f16' : 'f32';
  if (dtype === 'f16' && !format.half) {
    const able = EXPORT_FORMATS.filter(({ half }) => half).map(({ name }) => name);
    throw new LxmertDataError('ERR_USAGE', {
      what: `${format.name} has no features of f16`,
      expected: `--dtype f32, or one of ${able.join(', ')}`,
    });
  }
  const force = options['force'] === true;
  if (format.python === undefined) {
    return await exportTsv({ store, out, force, lineIndex: format.name === 'tsv-lineidx' }, context);
  }
  return await exportWithPython(
    { store, out, format, dtype, force, python: textOption(options, 'python') },
    context,
  );
}
