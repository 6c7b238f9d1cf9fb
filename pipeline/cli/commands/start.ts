import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatRow } from '../../format/format-row.ts';
import { makeSyntheticRow } from '../../synthetic-rows.ts';
import { convert, defaultStorePath } from '../../stages/convert.ts';
import { exportTsv } from '../../stages/export-tsv.ts';
import { validate } from '../../stages/validate.ts';
import { verifyStore } from '../../stages/verify-store.ts';
import { openStore } from '../../store.ts';
import type { CommandContext, CommandSpec } from '../command.ts';
import { resolveInputs } from '../inputs.ts';

const SYNTHETIC_ROWS = 24;

export const startCommand: CommandSpec = {
  name: 'start',
  summary: 'the main job from end to end',
  description:
    'Takes a feature TSV or zip through validate, convert, verify and a read-back. Without a file it makes a small TSV with made-up content first.',
  argument: {
    name: 'file',
    description: '.tsv or .zip',
    required: false,
    many: false,
    looksLike: /\.(tsv|zip)$/,
  },
  options: [],
  examples: [
    ['npm start', 'see it work, on made-up rows'],
    ['npm start -- train2014_obj36.zip', 'do it with your file'],
  ],
  async run(words, _options, context) {
    const [given] = resolveInputs(words, context.data);
    const file = given ?? (await makeSyntheticTsv(context));
    context.print(`1. validate ${file}`);
    const checked = await validate({ files: [file] }, context);
    const rows = checked.sources[0]!.rows;
    context.print(`   ${rows} sound rows, ${checked.errors} errors, ${checked.warnings} warnings`);
    if (!checked.ok) return false;
    const store = defaultStorePath(file);
    context.print(`2. convert it to ${store}`);
    const converted = await convert({ files: [file], out: store, force: true }, context);
    if (converted.store === null) return false;
    context.print(`   ${converted.rows} images, ${converted.bytes} bytes`);
    context.print('3. verify every byte of it');
    const verified = await verifyStore(store, context);
    context.print(`   ${verified.ok ? 'intact' : 'DAMAGED'}`);
    const same = await readBack(
      store,
      converted.sources[0]!,
      file.endsWith('.tsv') && given === undefined,
      context,
    );
    context.emit({ event: 'result', stage: 'start', ok: verified.ok && same, store, rows: converted.rows });
    context.print(
      `\nTrain from it, in Python:  from lxmert_data import FeatureStore; store = FeatureStore("${store}")`,
    );
    return verified.ok && same;
  },
};

async function makeSyntheticTsv({ data, print }: CommandContext): Promise<string> {
  const folder = join(data, 'demo');
  const file = join(folder, 'synthetic_obj36.tsv');
  await mkdir(folder, { recursive: true });
  const lines = Array.from({ length: SYNTHETIC_ROWS }, (_, index) => formatRow(makeSyntheticRow(index)));
  await writeFile(file, lines.join(''));
  print(
    `0. make ${file}: ${SYNTHETIC_ROWS} rows of the published form with MADE-UP content, to show the way`,
  );
  return file;
}

/** Reads rows as training would, and for the made-up file proves that the TSV comes back byte for byte. */
async function readBack(
  path: string,
  source: { readonly sha256: string; readonly name: string },
  exported: boolean,
  context: CommandContext,
): Promise<boolean> {
  context.print('4. read it back');
  const store = await openStore(path);
  const row = await store.row(store.rows - 1);
  await store.close();
  const peak = row.features.reduce((most, value) => Math.max(most, value), 0);
  context.print(
    `   image ${row.img_id} (${row.img_w}x${row.img_h}): 36 boxes, features 36 x 2048, largest ${peak.toFixed(3)}`,
  );
  if (!exported) return true;
  const back = `${path}.back.tsv`;
  await exportTsv({ store: path, out: back, force: true }, context);
  const again = await validate({ files: [back] }, context);
  await rm(back);
  const same = again.sources[0]!.sha256 === source.sha256;
  context.print(`   exported as TSV again: ${same ? 'the same bytes' : 'OTHER BYTES'} as ${source.name}`);
  return same;
}
