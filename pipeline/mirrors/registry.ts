import { v } from '../schema.ts';
import { baidu } from './baidu.ts';
import { dropbox } from './dropbox.ts';
import { type MirrorEntry, mirrorFields } from './fields.ts';
import { gcs } from './gcs.ts';
import { googleDrive } from './google-drive.ts';
import { https } from './https.ts';
import { huggingFace } from './huggingface.ts';
import type { FileLocation, MirrorContext, MirrorKind, MirrorProvider, SourceProblem } from './mirror.ts';

/** All kinds of mirrors. Another one is a file like these, and a line here. */
const KINDS: readonly MirrorKind[] = [https, googleDrive, baidu, dropbox, gcs, huggingFace];

const unknownKind = v.object({ ...mirrorFields, provider: v.picklist(KINDS.map(kind => kind.provider)) });

/** A mirror's entry in a manifest, by the fields of its kind. */
export const mirrorSchema = v.lazy(
  (entry): v.GenericSchema<unknown, MirrorEntry> => findKind(entry)?.schema ?? unknownKind,
);

/** The provider behind a mirror of the manifest. */
export function createMirror(name: string, entry: MirrorEntry, context: MirrorContext): MirrorProvider {
  return kindOf(entry).create(name, entry, context);
}

/** What keeps a mirror from having the file of a source; undefined where nothing does. */
export function checkSource(
  name: string,
  entry: MirrorEntry,
  source: FileLocation,
): SourceProblem | undefined {
  return kindOf(entry).checkSource(name, entry, source);
}

/** The address of a mirror's host; undefined where neither its entry nor its kind has one. */
export function homeOf(entry: MirrorEntry): string | undefined {
  return entry.base ?? kindOf(entry).home;
}

function findKind(entry: unknown): MirrorKind | undefined {
  if (typeof entry !== 'object' || entry === null || !('provider' in entry)) return undefined;
  return KINDS.find(({ provider }) => provider === entry.provider);
}

function kindOf(entry: MirrorEntry): MirrorKind {
  const kind = findKind(entry);
  if (kind === undefined) throw new TypeError(`unknown kind of mirror "${entry.provider}"`);
  return kind;
}
