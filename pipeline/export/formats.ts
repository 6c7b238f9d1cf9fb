import { readFileSync } from 'node:fs';
import { LxmertDataError } from '../errors.ts';
import { nearestName } from '../nearest-name.ts';
import type { PythonLibrary } from '../python/find-python.ts';
import { v } from '../schema.ts';

/** A format that `export` writes. */
export interface ExportFormat {
  readonly name: string;
  readonly openedBy: string;
  /** What its name must end with. */
  readonly suffixes: readonly string[];
  /** Libraries that Python writes it with; undefined where this program writes it itself. */
  readonly python?: readonly PythonLibrary[];
  /** Whether features can be written as f16. */
  readonly half: boolean;
  /** What images can be named by; empty where they always have their img_ids. */
  readonly idModes: readonly IdMode[];
  /** Whether names of classes are written where the vocabulary is known. */
  readonly hasTags: boolean;
  /** Whether it is written in shards, whose size can be chosen. */
  readonly hasShards: boolean;
}

export const ID_MODES = ['name', 'number', 'folder'] as const;
export type IdMode = (typeof ID_MODES)[number];

const LIBRARIES = v.array(v.strictObject({ module: v.string(), requirement: v.string() }));

/** The table of formats that the Python package reads as well; a format with a module is written there. */
const TABLE = v.strictObject({
  always: LIBRARIES,
  formats: v.array(
    v.strictObject({
      name: v.string(),
      opened_by: v.string(),
      suffixes: v.optional(v.array(v.string()), []),
      module: v.optional(v.string()),
      variant: v.optional(v.string()),
      libraries: v.optional(LIBRARIES, []),
      is_folder: v.optional(v.boolean(), false),
      half: v.optional(v.boolean(), false),
      ids: v.optional(v.picklist(['name', 'number', 'number-if-all']), 'name'),
      has_folders: v.optional(v.boolean(), false),
      has_tags: v.optional(v.boolean(), false),
      has_shards: v.optional(v.boolean(), false),
    }),
  ),
});

/** In the order of help and docs. */
export const EXPORT_FORMATS: readonly ExportFormat[] = readFormats();

function readFormats(): ExportFormat[] {
  const path = new URL('../../reader/src/lxmert_data/export/formats.json', import.meta.url);
  const { always, formats } = v.parse(TABLE, JSON.parse(readFileSync(path, 'utf8')));
  return formats.map(entry => ({
    name: entry.name,
    openedBy: entry.opened_by,
    suffixes: entry.suffixes,
    half: entry.half,
    idModes: listIdModes(entry),
    hasTags: entry.has_tags,
    hasShards: entry.has_shards,
    ...(entry.module === undefined ? {} : { python: [...always, ...entry.libraries] }),
  }));
}

function listIdModes(entry: v.InferOutput<typeof TABLE>['formats'][number]): IdMode[] {
  if (entry.module === undefined) return [];
  if (entry.ids === 'number') return ['number'];
  return entry.has_folders ? ['name', 'number', 'folder'] : ['name', 'number'];
}

/** The format of that name; throws ERR_USAGE, with the nearest name, if there is no such format. */
export function findExportFormat(name: string): ExportFormat {
  const found = EXPORT_FORMATS.find(format => format.name === name);
  if (found !== undefined) return found;
  const names = EXPORT_FORMATS.map(format => format.name);
  const near = nearestName(name, names);
  throw new LxmertDataError('ERR_USAGE', {
    what: `there is no export format "${name}"`,
    expected: names.join(', '),
    got: name,
    hint: near === undefined ? undefined : `did you mean ${near}?`,
  });
}
