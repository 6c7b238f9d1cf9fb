import type { HttpClient } from '../net/client.ts';
import type { FileShape } from '../net/file-shape.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { v } from '../schema.ts';
import type { MirrorEntry } from './fields.ts';

/** Where a source says that its file is on the mirror: exactly one of the three. */
export interface FileLocation {
  readonly path?: string | undefined;
  readonly id?: string | undefined;
  readonly link?: string | undefined;
}

export interface MirrorContext {
  readonly client: HttpClient;
  readonly signal: AbortSignal;
  /** Secrets come from here: GOOGLE_API_KEY, HF_TOKEN, BAIDU_COOKIE. */
  readonly environment: NodeJS.ProcessEnv;
  /** The mirror's address as the user gave it with --base-url. */
  readonly givenBase?: string | undefined;
}

/** A piece of a file that was cut by `split`. */
export interface LocatedPart {
  /** File name, without folders. */
  readonly name: string;
  readonly remote: RemoteFile;
}

export interface LocateRequest {
  readonly location: FileLocation;
  readonly shape: FileShape;
}

/** Finds files on one mirror; asks for listings where the mirror has no fixed addresses. Throws MirrorFault. */
export interface MirrorProvider {
  readonly locate: (request: LocateRequest) => Promise<RemoteFile>;
  /** The parts of a cut file, in the order of their names; `pattern` ends in `*`. */
  readonly locateParts?: ((pattern: string, shape: FileShape) => Promise<readonly LocatedPart[]>) | undefined;
}

export interface SourceProblem {
  /** The source's field that the mirror cannot use. */
  readonly field: keyof FileLocation;
  readonly problem: string;
}

/** A kind of mirror: the manifest fields of its entries, what it needs of a source, and how its files are found. */
export interface MirrorKind {
  readonly provider: string;
  /** Where mirrors of this kind are, unless an entry has a base; undefined where each entry must have one. */
  readonly home: string | undefined;
  readonly schema: v.GenericSchema<unknown, MirrorEntry>;
  readonly checkSource: (name: string, entry: MirrorEntry, source: FileLocation) => SourceProblem | undefined;
  readonly create: (name: string, entry: MirrorEntry, context: MirrorContext) => MirrorProvider;
}

/** A kind of mirror, whose own code sees entries with the fields of its schema. */
export function defineMirrorKind<Entry extends MirrorEntry>({
  provider,
  home,
  schema,
  create,
  checkSource,
}: {
  /** As manifests name it; the schema has it as a literal. */
  readonly provider: string;
  readonly home?: string;
  readonly schema: v.GenericSchema<unknown, Entry>;
  readonly create: (name: string, entry: Entry, context: MirrorContext) => MirrorProvider;
  readonly checkSource?: (name: string, entry: Entry, source: FileLocation) => SourceProblem | undefined;
}): MirrorKind {
  return {
    provider,
    home,
    schema,
    checkSource: (name, entry, source) => checkSource?.(name, v.parse(schema, entry), source),
    create: (name, entry, context) => create(name, v.parse(schema, entry), context),
  };
}

/** Joins a path to an address whose last segment is a folder, keeping the path's slashes and nothing else special. */
export function joinUrl(base: string, path: string): string {
  const root = base.endsWith('/') ? base : `${base}/`;
  return new URL(path.split('/').map(encodeURIComponent).join('/'), root).href;
}
