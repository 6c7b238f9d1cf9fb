import { LxmertDataError } from '../errors.ts';

/** One set of images whose features LXMERT opens under a name of its own. */
export interface Split {
  readonly dataset: string;
  readonly split: string;
  /** Below the data root, without ending: what LXMERT's loaders open (the published scripts write other names). */
  readonly target: string;
  /** NLVR2's training images lie in sub-folders. */
  readonly recursive: boolean;
  /** LXMERT JSON below the data root whose images come first, for splits whose order matters. */
  readonly first?: string;
  /** LXMERT JSON below the data root that names the images, where the folder holds more. */
  readonly only?: string;
}

export const SPLITS: readonly Split[] = [
  { dataset: 'coco', split: 'train', target: 'mscoco_imgfeat/train2014_obj36', recursive: false },
  // VQA's minival and the validation of pre-training take the first 5,000 rows of this file for theirs.
  {
    dataset: 'coco',
    split: 'valid',
    target: 'mscoco_imgfeat/val2014_obj36',
    recursive: false,
    first: 'vqa/minival.json',
  },
  { dataset: 'coco', split: 'test', target: 'mscoco_imgfeat/test2015_obj36', recursive: false },
  { dataset: 'nlvr2', split: 'train', target: 'nlvr2_imgfeat/train_obj36', recursive: true },
  { dataset: 'nlvr2', split: 'valid', target: 'nlvr2_imgfeat/valid_obj36', recursive: false },
  { dataset: 'nlvr2', split: 'test', target: 'nlvr2_imgfeat/test_obj36', recursive: false },
  { dataset: 'nlvr2', split: 'hidden', target: 'nlvr2_imgfeat/hidden_obj36', recursive: false },
  { dataset: 'gqa', split: 'all', target: 'vg_gqa_imgfeat/vg_gqa_obj36', recursive: false },
  {
    dataset: 'gqa',
    split: 'testdev',
    target: 'vg_gqa_imgfeat/gqa_testdev_obj36',
    recursive: false,
    only: 'gqa/testdev.json',
  },
];

const CUSTOM: Split = { dataset: 'custom', split: 'all', target: 'custom/custom_obj36', recursive: true };

/** Finds a split by `dataset/split`, by a data set that has one only, or by `split` with `dataset` named apart. */
export function findSplit(name: string, dataset?: string): Split {
  const full = dataset === undefined || name.includes('/') ? name : `${dataset}/${name}`;
  if (full === 'custom' || full === 'custom/all') return CUSTOM;
  const found = SPLITS.find(
    split => `${split.dataset}/${split.split}` === (full === 'gqa' ? 'gqa/all' : full),
  );
  if (found !== undefined) return found;
  const known = [...SPLITS.map(split => `${split.dataset}/${split.split}`), 'custom'].join(', ');
  const alike = SPLITS.filter(split => split.split === name).map(split => split.dataset);
  throw new LxmertDataError('ERR_USAGE', {
    what: alike.length > 0 ? `${name} is a split of ${alike.join(' and ')}` : 'there is no such split',
    expected: known,
    got: full,
    hint:
      alike.length > 0
        ? `name the data set too: --split ${alike[0]!}/${name}, or --dataset ${alike[0]!}`
        : undefined,
  });
}
