import { COCO_SETS, cocoImageId, cocoPrefix, type CocoSet } from '../coco-ids.ts';
import { LxmertDataError } from '../errors.ts';
import { suggest } from '../nearest-name.ts';
import { type PinnedIds, readPinnedIds } from './pinned-ids.ts';

/** Which rows of a source become rows of a store, and under which img_id. */
export interface IdRule {
  /** As the user named it. */
  readonly name: string;
  /** The ids that rows may have, where the rule is a list of them. */
  readonly wanted?: PinnedIds | undefined;
  /** The img_id for the row of this id; undefined where the row is left out. @throws LxmertDataError ERR_INPUT */
  apply(imgId: string): string | undefined;
}

/**
 * Names that `--ids` takes beside files. The original release of the features uses COCO's numbers, LXMERT's JSON files
 * the names of its files.
 */
export const ID_RULES: readonly string[] = COCO_SETS.map(set => `coco-${set}`);

const NUMBER = /^[0-9]{1,12}$/;

/** Reads what `--ids` names: one of ID_RULES, or a list of ids or LXMERT JSON. */
export async function readIdRule(name: string): Promise<IdRule> {
  const set = COCO_SETS.find(known => name === `coco-${known}`);
  if (set !== undefined) return cocoRule(name, set);
  if (name.startsWith('coco-')) {
    throw new LxmertDataError('ERR_USAGE', {
      what: `there is no rule for ids named "${name}"`,
      expected: `${ID_RULES.join(', ')}, or a file`,
      hint: suggest(name, ID_RULES),
    });
  }
  return listRule(name, await readPinnedIds(name));
}

function cocoRule(name: string, set: CocoSet): IdRule {
  const prefix = cocoPrefix(set);
  return {
    name,
    apply: imgId => {
      if (NUMBER.test(imgId)) return cocoImageId(set, imgId);
      if (imgId.startsWith(prefix)) return imgId;
      throw new LxmertDataError('ERR_INPUT', {
        what: 'the row has no COCO number as its img_id',
        expected: `a number, or ${prefix} and twelve digits`,
        got: JSON.stringify(imgId),
        hint: 'name the list of wanted ids instead: --ids FILE',
      });
    },
  };
}

/** Rows whose id is listed, and rows whose number is that of one listed id: `132417` for `COCO_val2014_000000132417`. */
function listRule(name: string, wanted: PinnedIds): IdRule {
  const listed = new Set(wanted.ids);
  const byNumber = new Map<string, string[]>();
  for (const id of wanted.ids) {
    const number = numberOf(id);
    if (number === undefined) continue;
    const others = byNumber.get(number);
    if (others === undefined) byNumber.set(number, [id]);
    else others.push(id);
  }
  return {
    name,
    wanted,
    apply: imgId => {
      if (listed.has(imgId)) return imgId;
      const number = numberOf(imgId);
      const candidates = number === undefined ? [] : (byNumber.get(number) ?? []);
      // A number is compared with names, and names with a number; two names that end alike are two images.
      const [only, other] = candidates.filter(id => NUMBER.test(id) !== NUMBER.test(imgId));
      if (only === undefined || other === undefined) return only;
      throw new LxmertDataError('ERR_INPUT', {
        what: `the img_id ${imgId} is the number of two listed ids`,
        where: name,
        got: `${only} and ${other}`,
        hint: 'give a list in which each number occurs once, such as the JSON of one split',
      });
    },
  };
}

/** The number at the end of an id, without leading zeros; undefined if it does not end in one. */
function numberOf(id: string): string | undefined {
  return /(?:^|_)0*([0-9]{1,12})$/.exec(id)?.[1];
}
