import { readFileSync } from 'node:fs';
import { LxmertDataError } from '../errors.ts';
import { nearestName } from '../nearest-name.ts';
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
}

export interface PythonLibrary {
  readonly module: string;
  /** As pip installs it. */
  readonly requirement: string;
}

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
    }),
  ),
});

/** In the order of help and docs. */
export const EXPORT_FORMATS: readonly ExportFormat[] = readFormats();

function readFormats(): ExportFormat[] {
  const path = new URL('../../reader/src/lxmert_data/export/formats.json', import.meta.url);
  const { always, formats } = v.parse(TABLE, JSON.parse(readFileSync(path, 'utf8')));
  return formats.map(({ name, opened_by: openedBy, suffixes, module, libraries, half }) => ({
    name,
    openedBy,
    suffixes,
    half,
    ...(module === undefined ? {} : { python: [...always, ...libraries] }),
  }));
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
