import type { StageContext } from '../events.ts';
import type { StoreFile } from '../store/reader.ts';
import { requireImages } from './choose-images.ts';
import { describeStore, namesOf, type StoreOverview } from './describe-store.ts';
import type { ClassNames } from './findings.ts';
import { type RankedImage, rankImages } from './rank-images.ts';
import type { Vocabulary } from './read-vocabulary.ts';
import { spreadRows, type StoreSurvey, surveyStore } from './survey-store.ts';

/** Which images of a store to look at. */
export interface Selection {
  /** Images to show; the worst if none is named. */
  readonly ids: readonly string[];
  /** How many images to show if none is named. */
  readonly limit: number;
  /** Images to read for the numbers of the whole store; all where not given. */
  readonly sample?: number | undefined;
  readonly vocabulary?: Vocabulary | undefined;
  readonly threads?: number | undefined;
}

/** What was found in a store. */
export interface StoreInspection {
  readonly path: string;
  readonly rows: number;
  /** img_id of every row. */
  readonly ids: readonly string[];
  readonly survey: StoreSurvey;
  readonly overview: StoreOverview;
  /** Images to show, in order. */
  readonly chosen: readonly RankedImage[];
  /** Whether the images were named by the user. */
  readonly named: boolean;
  /** Names of the classes that occur, by id; null without a vocabulary. */
  readonly names: ClassNames;
}

/** Reads a store whose ids are `ids`, ranks its images and chooses those to show. Fails with ERR_INPUT where it lacks a named image. */
export async function inspectImages(
  store: StoreFile,
  ids: readonly string[],
  selection: Selection,
  context: StageContext,
): Promise<StoreInspection> {
  const { limit, sample, vocabulary, threads } = selection;
  const named = selection.ids.length > 0;
  const rows = named
    ? requireImages(new Map(ids.map((id, row) => [id, row])), selection.ids, store.path)
    : sample === undefined
      ? undefined
      : spreadRows(store.rows, sample);
  const survey = await surveyStore(store, { rows, threads }, context);
  const ranked = rankImages(survey, ids);
  const chosen = named ? [...ranked].sort((a, b) => a.at - b.at) : ranked.slice(0, limit);
  const overview = await describeStore(store, survey, ranked, vocabulary);
  const names = {
    objects: namesOf(survey.objects, vocabulary?.objects),
    attributes: namesOf(survey.attributes, vocabulary?.attributes),
  };
  return { path: store.path, rows: store.rows, ids, survey, overview, chosen, named, names };
}
