/** COCO's sets of images, as its file names have them. */
export const COCO_SETS = ['train2014', 'val2014', 'test2014', 'test2015'] as const;

export type CocoSet = (typeof COCO_SETS)[number];

/** The file name of a COCO image without its ending: number 132417 of train2014 is `COCO_train2014_000000132417`. */
export function cocoImageId(set: CocoSet, number: number | string): string {
  return `${cocoPrefix(set)}${String(number).padStart(12, '0')}`;
}

export function cocoPrefix(set: CocoSet): string {
  return `COCO_${set}_`;
}
