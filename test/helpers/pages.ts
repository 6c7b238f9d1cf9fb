import { rewriteStores } from '../../pipeline/stages/rewrite-stores.ts';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { makeDemoImages } from '../../pipeline/extraction/demo-images.ts';
import type { PlainRow } from '../../pipeline/rows/format-row.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import {
  inspectStore,
  type InspectOptions,
  type InspectResult,
} from '../../pipeline/stages/inspect-store.ts';
import { readVocabulary, type Vocabulary } from '../../pipeline/inspection/read-vocabulary.ts';
import { makeContext, makeLine, writeTsv } from './rows.ts';
import { makeTempFolder } from './temp.ts';

export interface Place {
  readonly folder: string;
  readonly store: string;
}

/** A store of synthetic rows, each with changes of its own. */
export async function makeStore(
  t: ExecutionContext,
  rows: readonly Partial<PlainRow>[],
  name = 'x',
): Promise<Place> {
  const folder = await makeTempFolder(t);
  const tsv = await writeTsv(
    folder,
    rows.map((changes, index) => makeLine(changes, index)),
    `${name}.tsv`,
  );
  const store = join(folder, `${name}.safetensors`);
  const { ok } = await convert({ files: [tsv], out: store }, makeContext());
  t.true(ok);
  return { folder, store };
}

/**
 * The same with ids of any kind. Rows with some of them are refused, so a store that has them comes from another writer:
 * here its rows are renamed.
 */
export async function makeStoreOfIds(
  t: ExecutionContext,
  ids: readonly string[],
  rows: readonly Partial<PlainRow>[],
  name = 'renamed',
): Promise<Place> {
  const numbered = rows.map((row, index) => ({ ...row, img_id: `id-${index}` }));
  const { folder, store } = await makeStore(t, numbered, 'plain');
  const out = join(folder, `${name}.safetensors`);
  const apply = (id: string): string | undefined => ids[Number(id.slice(3))];
  await rewriteStores({ stores: [store], out, ids: { name, apply }, force: false }, makeContext());
  return { folder, store: out };
}

/** Three pictures drawn by the project, with rows of their size: ids demo_1 to demo_3. */
export async function makeDemoStore(t: ExecutionContext): Promise<Place & { readonly images: string }> {
  const size = { img_w: 320, img_h: 240 };
  const rows = [1, 2, 3].map((id, index) => ({ img_id: `demo_${id}`, ...size, boxes: makeBoxes(index) }));
  const place = await makeStore(t, rows, 'demo');
  return { ...place, images: await makeDemoImages(join(place.folder, 'images')) };
}

/** 36 boxes on a picture of 320 x 240, from large to small. */
function makeBoxes(seed: number): Float32Array {
  return Float32Array.from({ length: 36 * 4 }, (_, index) => {
    const box = Math.floor(index / 4);
    const left = 4 + ((box * 37 + seed * 11) % 150);
    const top = 3 + ((box * 23 + seed * 7) % 110);
    return [left, top, left + 20 + (36 - box) * 3.5, top + 15 + (36 - box) * 2.75][index % 4]!;
  });
}

/** Vocabularies of made-up names, with some of one's own. */
export async function makeVocabulary(folder: string, objects: readonly string[] = []): Promise<Vocabulary> {
  const where = join(folder, 'vocab');
  await mkdir(where, { recursive: true });
  const list = (kind: string, count: number, first: readonly string[]): string =>
    Array.from({ length: count }, (_, id) => first[id] ?? `${kind}${id},other name`).join('\n');
  await writeFile(join(where, 'objects_vocab.txt'), list('thing', 1600, objects));
  await writeFile(join(where, 'attributes_vocab.txt'), list('kind', 400, []));
  return (await readVocabulary(where, true))!;
}

export interface MadePage {
  readonly path: string;
  readonly result: InspectResult;
}

export async function makePage(
  { folder, store }: Place,
  options: Partial<InspectOptions> = {},
): Promise<MadePage> {
  const path = join(folder, 'page.html');
  const settings = { store, ids: [], limit: 50, out: path, force: true, ...options };
  return { path, result: await inspectStore(settings, makeContext()) };
}
