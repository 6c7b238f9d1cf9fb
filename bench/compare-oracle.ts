import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  chooseRegions,
  findBestClasses,
  rateRegions,
  scaleRegions,
} from '../pipeline/detector/regions/choose-boxes.ts';
import type { ConvertedModel } from '../pipeline/detector/model/convert-model.ts';
import { decodeImage } from '../pipeline/detector/image/decode-image.ts';
import type { BackboneOutput } from '../pipeline/detector/session.ts';
import { DetectorSession } from '../pipeline/detector/session.ts';
import { buildBackboneGraph } from '../pipeline/detector/model/graphs.ts';
import { makeNetworkInput } from '../pipeline/detector/image/network-input.ts';
import type { InputSize } from '../pipeline/detector/regions/propose-regions.ts';
import { decodeProposals, proposeRegions } from '../pipeline/detector/regions/propose-regions.ts';
import type { OracleImage } from '../test/helpers/oracle.ts';
import { measureDifference, readExpectedRow, readIntermediates, thin } from '../test/helpers/oracle.ts';
import { matchRegions, ROI_TOLERANCE, SCORE_TOLERANCE } from './compare-regions.ts';

/** One line of the table of one image. */
export interface Comparison {
  readonly what: string;
  readonly got: string;
  readonly allowed: string;
  readonly passed: boolean;
}

/** Maps inside the backbone with their channels, and every how many channels and pixels the oracle kept. */
const TAPS = [
  { blob: 'conv1', channels: 64, kept: 'conv1_every8th', steps: [8, 8, 8], allowed: 1e-3 },
  { blob: 'pool1', channels: 64, kept: 'pool1_channels8_every4th', steps: [8, 4, 4], allowed: 1e-3 },
  { blob: 'res2c', channels: 256, kept: 'res2c_channels16_every4th', steps: [16, 4, 4], allowed: 1e-3 },
  { blob: 'res3b3', channels: 512, kept: 'res3b3_channels16_every2nd', steps: [16, 2, 2], allowed: 1e-3 },
  { blob: 'res4b22', channels: 1024, kept: 'res4b22_channels16', steps: [16, 1, 1], allowed: 1e-3 },
] as const;

/** The detector with the inner maps of the backbone as further outputs. */
export async function openTappedSession(
  model: ConvertedModel,
  options: { readonly threads?: number | undefined } = {},
): Promise<DetectorSession> {
  const taps = new Map<string, number>(TAPS.slice(0, -1).map(({ blob, channels }) => [blob, channels]));
  const backbone = join(dirname(model.backbone), `tapped-${process.pid}.onnx`);
  await writeFile(backbone, buildBackboneGraph(model.table, taps));
  try {
    return await DetectorSession.open({ ...options, backbone, head: model.head });
  } finally {
    await rm(backbone);
  }
}

/** Runs one image through the detector and compares every stage with what Caffe made of it. */
export async function compareWithOracle(session: DetectorSession, image: OracleImage): Promise<Comparison[]> {
  const caffe = readIntermediates(image.name);
  const rows: Comparison[] = [];
  const add = (what: string, got: number, allowed: number): void => {
    rows.push({ what, got: format(got), allowed: format(allowed), passed: got <= allowed });
  };
  const input = makeNetworkInput(await decodeImage(image.path));
  const backbone = await session.runBackbone(input);
  compareMaps(backbone, caffe, add);

  const rois = proposeRegions(backbone, input, 300);
  const match = matchRegions(rois, caffe('rois').values, scoreRegions(rois, backbone, input));
  add('rois not found', match.missing, 0);
  add('rois, pixels', match.worst, ROI_TOLERANCE);
  add(`rois in other rows (${match.displaced}), by score`, match.displacedBy, SCORE_TOLERANCE);

  const head = await session.runHead(backbone.map, rois);
  const boxes = scaleRegions(rois, input.scale);
  const confidences = rateRegions(boxes, head.objects);
  const chosen = chooseRegions(confidences);
  const sampled = match.rows.filter((_, row) => row % 10 === 0);
  add(
    'pool5 of every 10th roi',
    measureDifference(takeRows(head.features, sampled, 2048), caffe('pool5_every10th_roi').values),
    1e-3,
  );
  add('max_conf', measureDifference(takeRows(confidences, match.rows, 1), caffe('max_conf').values), 1e-4);

  const kept = caffe('keep_boxes').values;
  const other = chosen.filter((row, place) => row !== match.rows[kept[place]!]).length;
  add('kept boxes in another place', other, 0);
  const expected = readExpectedRow(image.name);
  const objects = findBestClasses(head.objects, chosen, 1601);
  const attributes = findBestClasses(head.attributes, chosen, 401);
  add('object ids that differ', countDifferent(objects.ids, expected.objects_id), 0);
  add('attribute ids that differ', countDifferent(attributes.ids, expected.attrs_id), 0);
  add('object confidences', measureDifference(objects.confidences, expected.objects_conf), 1e-4);
  add('attribute confidences', measureDifference(attributes.confidences, expected.attrs_conf), 1e-4);
  add(
    'boxes, pixels of the image',
    measureDifference(takeRows(boxes, chosen, 4), expected.boxes),
    ROI_TOLERANCE,
  );
  add('features', measureDifference(takeRows(head.features, chosen, 2048), expected.features), 1e-3);
  return rows;
}

function compareMaps(
  backbone: BackboneOutput,
  caffe: ReturnType<typeof readIntermediates>,
  add: (what: string, got: number, allowed: number) => void,
): void {
  for (const { blob, kept, steps, allowed } of TAPS) {
    const map = blob === 'res4b22' ? backbone.map : backbone.taps.get(blob)!;
    const [channels, height, width] = map.dims.slice(1) as [number, number, number];
    const thinned = thin(map.data as Float32Array, [channels, height, width], steps);
    add(blob, measureDifference(thinned, caffe(kept).values), allowed);
  }
  add('rpn_cls_prob', measureDifference(backbone.probabilities, caffe('rpn_cls_prob').values), 1e-4);
  add('rpn_bbox_pred', measureDifference(backbone.deltas, caffe('rpn_bbox_pred').values), 1e-4);
}

/** The proposal score of each region, found again by its exact box. */
function scoreRegions(rois: Float32Array, backbone: BackboneOutput, input: InputSize): number[] {
  const { boxes, scores } = decodeProposals(backbone, input);
  const byBox = new Map<string, number>();
  for (const [index, score] of scores.entries()) {
    byBox.set(boxes.subarray(4 * index, 4 * index + 4).join(), score);
  }
  return Array.from({ length: rois.length / 5 }, (_, row) =>
    byBox.get(rois.subarray(5 * row + 1, 5 * row + 5).join())!,
  );
}

function takeRows(values: Float32Array | Float64Array, rows: ArrayLike<number>, size: number): Float64Array {
  const taken = new Float64Array(rows.length * size).fill(NaN);
  for (const [place, row] of Array.from(rows).entries()) {
    if (row >= 0) taken.set(values.subarray(row * size, (row + 1) * size), place * size);
  }
  return taken;
}

function countDifferent(actual: Int32Array, expected: BigInt64Array): number {
  return actual.filter((id, place) => BigInt(id) !== expected[place]).length;
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toExponential(1);
}
