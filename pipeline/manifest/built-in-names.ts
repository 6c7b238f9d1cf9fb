import { readFileSync } from 'node:fs';
import { v } from '../schema.ts';

/*
 * Names in the manifest that comes with the tool, for help texts and for the reading of npm's arguments, which come
 * before any manifest of the user's is loaded.
 */

const DATASETS = new URL('../../manifests/datasets.json', import.meta.url);

const namesSchema = v.object({
  datasets: v.record(v.string(), v.unknown()),
  image_sets: v.record(v.string(), v.unknown()),
});

let known: v.InferOutput<typeof namesSchema> | undefined;

function readNames(): v.InferOutput<typeof namesSchema> {
  known ??= v.parse(namesSchema, JSON.parse(readFileSync(DATASETS, 'utf8')));
  return known;
}

/** Such as `vqa`. */
export function builtInDatasets(): readonly string[] {
  return Object.keys(readNames().datasets);
}

/** Such as `coco/train`. */
export function builtInImageSets(): readonly string[] {
  return Object.keys(readNames().image_sets);
}
