import { stat } from 'node:fs/promises';
import type { FeatureDtype } from '../rows/feature-dtype.ts';
import { type FeatureStore, openStore, type StoreRow } from '../store/feature-store.ts';
import type { Provenance } from '../store/metadata.ts';

export interface ShowOptions {
  readonly store: string;
  readonly ids: readonly string[];
  readonly withFeatures: boolean;
}

/** One image as JSON can hold it. */
export interface ShownRow {
  readonly img_id: string;
  readonly row: number;
  readonly img_h: number;
  readonly img_w: number;
  readonly num_boxes: number;
  /** [36 * 4]: x1, y1, x2, y2 in pixels. */
  readonly boxes: readonly number[];
  readonly objects_id?: readonly number[];
  readonly objects_conf?: readonly number[];
  readonly attrs_id?: readonly number[];
  readonly attrs_conf?: readonly number[];
  /** [36 * 2048] */
  readonly features?: readonly number[];
}

export interface ShownStore extends Pick<Provenance, 'detector' | 'sources' | 'conversion' | 'tool'> {
  readonly store: string;
  readonly rows: number;
  readonly bytes: number;
  readonly dtype: FeatureDtype;
  readonly columns: readonly string[];
  readonly first_ids: readonly string[];
  readonly images: readonly ShownRow[];
}

const FIRST_IDS = 3;

/** What a store is, and its images of these ids. Fails with ERR_STORE where it has no such image. */
export async function readRows({ store: path, ids, withFeatures }: ShowOptions): Promise<ShownStore> {
  const store = await openStore(path);
  try {
    const images: ShownRow[] = [];
    for (const id of ids) images.push(await describeRow(store, await store.row(id), withFeatures));
    const { size } = await stat(path);
    const { rows, dtype, columns, provenance } = store;
    return {
      store: path,
      rows,
      bytes: size,
      dtype,
      columns,
      ...provenance,
      first_ids: (await store.ids()).slice(0, FIRST_IDS),
      images,
    };
  } finally {
    await store.close();
  }
}

async function describeRow(store: FeatureStore, row: StoreRow, withFeatures: boolean): Promise<ShownRow> {
  const { img_id, img_h, img_w, num_boxes, boxes, features } = row;
  const { objects_id: objects, objects_conf: objectsConf, attrs_id: attrs, attrs_conf: attrsConf } = row;
  return {
    img_id,
    row: await store.indexOf(img_id),
    img_h,
    img_w,
    num_boxes,
    boxes: [...boxes],
    ...(objects === undefined ? {} : { objects_id: Array.from(objects, Number) }),
    ...(objectsConf === undefined ? {} : { objects_conf: [...objectsConf] }),
    ...(attrs === undefined ? {} : { attrs_id: Array.from(attrs, Number) }),
    ...(attrsConf === undefined ? {} : { attrs_conf: [...attrsConf] }),
    ...(withFeatures ? { features: [...features] } : {}),
  };
}
