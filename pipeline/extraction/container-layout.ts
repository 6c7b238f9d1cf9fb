import { basename, dirname, relative, resolve } from 'node:path';
import { followLinks } from './container-folders.ts';

/* What every container of an extractor is given, whatever runs it: docs/extractor.md. */

/** Label of images that bring an extractor of their own. */
export const EXTRACTOR_LABEL = 'lxmert-data.extractor';
const UNTRAINED = 'untrained';

/** Folders of the machine that runs containers, by what they hold. `rows` is what extractors may write to. */
export interface MountedFolders {
  readonly images: string;
  readonly rows: string;
  readonly script: string;
  /** For what CUDA compiles for a GPU that the image was not made for: minutes, once. */
  readonly cache?: string | undefined;
}

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ContainerInput {
  readonly folders: MountedFolders;
  /** Path of the weights on the containers' machine, or `untrained`. */
  readonly weights: string;
}

const SCRIPT = '/lxmert-data/extract.py';
/** Old images have Python 2 as `python`, new ones only `python3`. */
const START_SCRIPT = `if command -v python >/dev/null 2>&1; then exec python -u ${SCRIPT} "$@"; else exec python3 -u ${SCRIPT} "$@"; fi`;
/** Runs the script of this project in an image that brings no extractor; arguments follow. */
export const CAFFE_COMMAND = ['/bin/sh', '-c', START_SCRIPT, 'extract'] as const;

/** Variables with which CUDA keeps what it compiles. */
export const CUDA_CACHE: readonly string[] = ['CUDA_CACHE_PATH=/cache', 'CUDA_CACHE_MAXSIZE=2147483648'];
/** A mounted script leaves nothing beside it. */
export const NO_BYTECODE = 'PYTHONDONTWRITEBYTECODE=1';

/** What a container sees of its machine. */
export function listMounts(spec: ContainerInput): readonly Mount[] {
  const { images, rows, script, cache } = spec.folders;
  return [
    { source: images, target: '/images', readOnly: true },
    { source: rows, target: '/rows', readOnly: false },
    ...(spec.weights === UNTRAINED
      ? []
      : [{ source: spec.weights, target: weightsTarget(spec), readOnly: true }]),
    { source: script, target: '/lxmert-data', readOnly: true },
    ...(cache === undefined ? [] : [{ source: cache, target: '/cache', readOnly: false }]),
  ];
}

function weightsTarget({ weights }: Pick<ContainerInput, 'weights'>): string {
  return weights === UNTRAINED ? weights : `/weights/${basename(weights)}`;
}

/** The arguments of an extractor. */
export function listArguments(spec: ContainerInput & { readonly gpu: string | undefined }): string[] {
  return [`--weights=${weightsTarget(spec)}`, `--device=${spec.gpu === undefined ? 'cpu' : 'cuda'}`];
}

/** A path of an image or of a file of rows as containers see it. */
export function toContainerPath({ images, rows }: MountedFolders, path: string): string {
  return dirname(resolve(path)) === rows
    ? `/rows/${basename(path)}`
    : `/images/${relative(images, followLinks(path)).replaceAll('\\', '/')}`;
}

/** What containers see, one line a mount. */
export function describeMounts(input: ContainerInput): readonly string[] {
  return listMounts(input).map(
    ({ source, target, readOnly }) => `containers see ${source} as ${target}${readOnly ? ', read-only' : ''}`,
  );
}

/** An argument as a shell reads it. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
