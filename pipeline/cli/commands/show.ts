import { join } from 'node:path';
import { formatBytes } from '../../files/format-bytes.ts';
import { readVocabulary, type Vocabulary } from '../../inspection/read-vocabulary.ts';
import { boxAt } from '../../rows/row-shape.ts';
import { formatNumber } from '../../show-text.ts';
import { readRows, type ShownRow, type ShownStore } from '../../stages/show-rows.ts';
import { describeDetector, UNTRAINED_WARNING } from '../../store/metadata.ts';
import { resolveStores } from '../inputs.ts';
import { type CommandContext, type CommandSpec, textOption } from '../spec.ts';
import { quoted } from '../typed-commands.ts';

export const showCommand: CommandSpec = {
  name: 'show',
  description:
    'Prints images of a store: size, boxes, classes and confidences, as text or, with --json, as data. Without an id, what the store is and where its rows come from.',
  argument: {
    name: 'store-and-ids',
    description: 'a .safetensors store, then img_ids',
    required: true,
    many: true,
  },
  options: [
    { name: 'features', description: 'with --json: the 36 x 2048 feature values too' },
    {
      name: 'vocab',
      value: 'DIR',
      description: 'folder of objects_vocab.txt and attributes_vocab.txt (default vocab below --data)',
    },
  ],
  examples: [
    ['lxmert-data show train2014_obj36.safetensors', 'rows, dtype, detector, sources'],
    ['lxmert-data show train2014_obj36.safetensors COCO_train2014_000000132417', 'one image'],
    [
      'lxmert-data show x.safetensors COCO_train2014_000000132417 --json --features',
      'the same for a program',
    ],
  ],
  async run(args, options, context) {
    const [path = '', ...ids] = args;
    const [store = ''] = resolveStores([path], context.data);
    const asked = textOption(options, 'vocab');
    const names = await readVocabulary(asked ?? join(context.data, 'vocab'), asked !== undefined);
    const result = await readRows({ store, ids, withFeatures: options['features'] === true });
    context.emit({ event: 'result', stage: 'show', ok: true, ...result });
    if (ids.length === 0) describeStore(result, context);
    for (const row of result.images) describeRow(row, names, context);
    const [first = 'IMG_ID'] = ids.length > 0 ? ids : result.first_ids;
    const command = ids.length === 0 ? 'show' : 'inspect';
    context.finish(`${store}: ${ids.length === 0 ? 'described' : `${ids.length} of ${result.rows} images`}`, {
      next: `lxmert-data ${command} ${quoted(store)} ${quoted(first)}`,
    });
    return true;
  },
};

function describeStore(
  { store, rows, dtype, columns, bytes, detector, sources, first_ids: ids, tool }: ShownStore,
  { show }: CommandContext,
): void {
  show(`${store}: ${rows} images, ${dtype}, ${formatBytes(bytes)}`);
  show(`columns   ${columns.join(', ')}`);
  show(`detector  ${describeDetector(detector)}`);
  if (detector.weights === 'untrained') show(`          ${UNTRAINED_WARNING}`);
  for (const source of sources)
    show(
      `source    ${source.name}${source.rows === undefined ? '' : `, ${source.rows} rows`}${source.sha256 === undefined ? '' : `, sha256 ${source.sha256}`}`,
    );
  show(`made by   ${tool}`);
  show(`img_ids   ${ids.join(', ')}${rows > ids.length ? ', …' : ''}`);
}

function describeRow(row: ShownRow, names: Vocabulary | undefined, { show }: CommandContext): void {
  show(`${row.img_id}  row ${row.row}, ${row.img_w} x ${row.img_h}, ${row.num_boxes} boxes`);
  const boxes = Float32Array.from(row.boxes);
  const nameOf = (list: readonly string[] | undefined, id: number | undefined): string =>
    id === undefined ? '' : (list?.[id] ?? `#${id}`);
  for (let box = 0; box < row.num_boxes; box++) {
    const corners = boxAt(boxes, box)
      .map(value => value.toFixed(1).padStart(7))
      .join(' ');
    const object = nameOf(names?.objects, row.objects_id?.[box]);
    const attribute = nameOf(names?.attributes, row.attrs_id?.[box]);
    const classes =
      row.objects_conf === undefined || row.attrs_conf === undefined
        ? ''
        : `  ${object} ${formatNumber(row.objects_conf[box] ?? NaN)}, ${attribute} ${formatNumber(row.attrs_conf[box] ?? NaN)}`;
    show(`${String(box).padStart(4)} ${corners}${classes}`);
  }
}
