import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../files/format-bytes.ts';
import { type Asset, assetOf, getMirror, type Manifest, type Source } from '../manifest/load.ts';
import { storeBytesFor } from '../store/layout.ts';
import { OBJ36, typicalRowBytes } from '../rows/row-shape.ts';
import { describeSource } from './asset-files.ts';

/** One way to an asset. Ways are tried in their order; an extraction takes days and is done only when asked for. */
export interface Road {
  readonly road: 'download' | 'make' | 'extract';
  /** Where from, or the command that does it. */
  readonly what: string;
  /** Why it has this rank. */
  readonly why: string;
}

/** Seconds of one core for an image with the embedded detector, and images a second of Caffe on a GPU: docs/parity.md. */
const CORE_SECONDS = 8.8;
const GPU_RATE = 5.5;

/** Every way to an asset, the cheapest that can be trusted first. */
export function listRoads(
  manifest: Manifest,
  name: string,
  sources: readonly Source[],
  dataRoot: string,
): readonly Road[] {
  const asset = assetOf(manifest, name);
  const roads: Road[] = sources.map(source => {
    const { dead, experimental } = getMirror(manifest, source.mirror);
    const rank =
      experimental === true
        ? 'as the manifest orders mirrors; experimental'
        : 'as the manifest orders mirrors';
    const why = dead === undefined ? rank : `after all living ones: gone since ${dead.since}`;
    return { road: 'download', what: `${source.mirror} (${describeSource(source)})`, why };
  });
  if (asset.kind === 'json' && asset.make !== undefined) {
    const size = sum(asset.make.from.map(from => assetOf(manifest, from).estimate?.bytes ?? 0));
    roads.push({
      road: 'make',
      what: `of ${asset.make.from.length} official files, about ${formatBytes(size)}`,
      why: 'when no mirror has it: the same records, made by the published rule',
    });
  }
  const extraction = describeExtraction(manifest, name, asset, dataRoot);
  if (extraction !== undefined) roads.push(extraction);
  return roads;
}

/** The image set that an asset is extracted as, and its images where they can be fetched. */
export function findExtraction(
  manifest: Manifest,
  name: string,
): { readonly set: string; readonly images: string | undefined } | undefined {
  const found = Object.entries(manifest.image_sets).find(([, { asset }]) => asset === name);
  return found === undefined ? undefined : { set: found[0], images: found[1].images };
}

function describeExtraction(
  manifest: Manifest,
  name: string,
  asset: Asset,
  dataRoot: string,
): Road | undefined {
  const found = findExtraction(manifest, name);
  if (found === undefined || asset.kind !== 'features') return undefined;
  const images = found.images === undefined ? undefined : assetOf(manifest, found.images);
  const needs = [describeImages(images), ...describeWork(asset.rows ?? asset.estimate?.rows)];
  const where = images === undefined ? 'DIR' : join(dataRoot, images.target);
  return {
    road: 'extract',
    what: `lxmert-data extract ${found.set} --images ${where}`,
    why: `last, and only with --extract: needs ${needs.join(', ')}`,
  };
}

function describeImages(images: Asset | undefined): string {
  const bytes = images?.kind === 'archive' ? (images.size ?? images.estimate?.bytes) : undefined;
  return bytes === undefined ? 'the images' : `images of ${formatBytes(bytes)}`;
}

function describeWork(rows: number | undefined): readonly string[] {
  if (rows === undefined) return [];
  const cores = availableParallelism();
  const disk = formatBytes(rows * typicalRowBytes(OBJ36) + storeBytesFor(rows, 'f32'));
  const here = formatHours((rows * CORE_SECONDS) / cores);
  const there = formatHours(rows / GPU_RATE);
  return [`${disk} of disk`, `about ${here} on the ${cores} cores here, or ${there} on one GPU with Caffe`];
}

function formatHours(seconds: number): string {
  const hours = seconds / 3600;
  if (hours < 1) return `${Math.ceil(seconds / 60)} minutes`;
  return hours < 48 ? `${hours.toFixed(hours < 10 ? 1 : 0)} hours` : `${Math.round(hours / 24)} days`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
