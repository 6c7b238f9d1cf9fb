import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';
import {
  EXPORT_FORMATS,
  type ExportFormat,
  findExportFormat,
  ID_MODES,
  type IdMode,
} from '../../export/formats.ts';
import { formatBytes } from '../../files/format-bytes.ts';
import { exportWithPython } from '../../stages/export-python.ts';
import type { ExportResult } from '../../export/export-result.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import {
  type CommandContext,
  type CommandSpec,
  integerOption,
  type OptionValues,
  textOption,
} from '../spec.ts';
import { resolveStores } from '../inputs.ts';
import { quoted } from '../typed-commands.ts';

const FORMAT_LIST = EXPORT_FORMATS.map(({ name, openedBy }) => `  ${name.padEnd(15)} for ${openedBy}`).join(
  '\n',
);

export const exportCommand: CommandSpec = {
  name: 'export',
  description: `Writes the rows of a store, or of several one after the other, in the format of another code base. As TSV, from an f32 store, that is the one it was converted from, byte for byte.

Formats (docs/export.md has their layouts):
${FORMAT_LIST}`,
  argument: {
    name: 'store',
    description: '.safetensors stores',
    required: true,
    many: true,
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
      name: 'ids',
      value: 'KIND',
      description:
        'what images are named by: name (the img_id), number (132417) or folder (train2014/COCO_…, mmf-lmdb only)',
      choices: ID_MODES,
    },
    {
      name: 'vocab',
      value: 'DIR',
      description:
        'folder of objects_vocab.txt, for oscar and vinvl (default vocab below --data, if it is there)',
      looksLike: /vocab/,
    },
    {
      name: 'shard-mb',
      value: 'N',
      description: 'size of a shard in MiB, for webdataset and mds (default 256)',
      integer: true,
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
    [
      'lxmert-data export train2014_obj36.safetensors val2014_obj36.safetensors --to volta-lmdb --out trainval.lmdb',
      'two splits in one file, for VOLTA',
    ],
  ],
  async run(args, options, context) {
    const format = findExportFormat(textOption(options, 'to') ?? 'tsv');
    const out = checkOut(format, textOption(options, 'out'));
    const stores = resolveStores(args, context.data);
    const result = await writeExport({ format, stores, out }, options, context);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'export', ok, to: format.name, ...details });
    const loss = result.lossless ? '' : ' (features were rounded)';
    const next = out.endsWith('.tsv')
      ? `lxmert-data validate ${quoted(out)}`
      : 'docs/export.md has what reads it';
    context.finish(`${out}: ${result.rows} rows, ${formatBytes(result.bytes)}${loss}`, {
      done: result.rows,
      next,
    });
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
  readonly stores: readonly string[];
  readonly out: string;
}

async function writeExport(
  request: ExportRequest,
  options: OptionValues,
  context: CommandContext,
): Promise<ExportResult> {
  const { format, stores, out } = request;
  checkOptions(request, options);
  const force = options['force'] === true;
  if (format.python === undefined) {
    const lineIndex = format.name === 'tsv-lineidx';
    return await exportTsv({ store: stores[0] ?? '', out, force, lineIndex }, context);
  }
  return await exportWithPython(
    {
      ...{ stores, out, format, force },
      dtype: options['dtype'] === 'f16' ? 'f16' : 'f32',
      ids: idMode(options),
      vocab: findVocabulary(format, options, context.data),
      shardMb: integerOption(options, 'shard-mb'),
      python: textOption(options, 'python'),
    },
    context,
  );
}

/** Throws ERR_USAGE for options that the format does not have. */
function checkOptions({ format, stores }: ExportRequest, options: OptionValues): void {
  if (stores.length > 1 && format.python === undefined) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `${format.name} is written from one store`,
      got: stores.join(', '),
      hint: 'export each by itself; TSVs can then be joined with cat',
    });
  }
  const wants = (name: string, has: boolean, able: (entry: ExportFormat) => boolean, what: string): void => {
    if (options[name] === undefined || has) return;
    const names = EXPORT_FORMATS.filter(able).map(entry => entry.name);
    throw new LxmertDataError('ERR_USAGE', {
      what: `${format.name} has no ${what}`,
      expected: `${name === 'dtype' ? '--dtype f32' : `no --${name}`}, or one of ${names.join(', ')}`,
    });
  };
  const isHalf = options['dtype'] === 'f16';
  wants('dtype', format.half || !isHalf, ({ half }) => half, 'features of f16');
  wants('vocab', format.hasTags, ({ hasTags }) => hasTags, 'names of classes');
  wants('shard-mb', format.hasShards, ({ hasShards }) => hasShards, 'shards');
  const mode = idMode(options);
  if (mode === undefined) return;
  const canName = ({ idModes }: ExportFormat): boolean => idModes.includes(mode);
  wants('ids', canName(format), canName, `images named by ${mode}`);
}

function idMode(options: OptionValues): IdMode | undefined {
  return ID_MODES.find(mode => mode === options['ids']);
}

/** The folder that was given, or else `vocab` below the data root if there is one. */
function findVocabulary(format: ExportFormat, options: OptionValues, data: string): string | undefined {
  if (!format.hasTags) return undefined;
  const given = textOption(options, 'vocab');
  if (given !== undefined) return given;
  const usual = join(data, 'vocab');
  return existsSync(join(usual, 'objects_vocab.txt')) ? usual : undefined;
}
