import { LxmertDataError } from '../../errors.ts';
import { BOXES } from '../../rows/row-shape.ts';
import {
  chooseRegions,
  findBestClasses,
  rateRegions,
  scaleRegions,
} from '../../detector/regions/choose-boxes.ts';
import { countPixels } from '../../detector/image/count-pixels.ts';
import { decodeImage } from '../../detector/image/decode-image.ts';
import type { HeadOutput } from '../../detector/session.ts';
import { ATTRIBUTE_CLASSES, FEATURE_SIZE, OBJECT_CLASSES } from '../../detector/model/network.ts';
import type { NetworkInput } from '../../detector/image/network-input.ts';
import { checkInputSize, makeNetworkInput } from '../../detector/image/network-input.ts';
import type { InputSize, ProposalScores } from '../../detector/regions/propose-regions.ts';
import { proposeRegions } from '../../detector/regions/propose-regions.ts';
import { answerInOrder } from '../../workers/answers.ts';

export type ImageRequest =
  | { readonly type: 'measure'; readonly path: string }
  | { readonly type: 'prepare'; readonly path: string }
  | {
      readonly type: 'propose';
      readonly scores: ProposalScores;
      readonly input: InputSize;
      readonly limit: number;
    }
  | {
      readonly type: 'choose';
      readonly rois: Float32Array;
      readonly scale: number;
      readonly head: HeadOutput;
    };

export interface PreparedImage {
  /** Size of the image itself. */
  readonly height: number;
  readonly width: number;
  readonly input: NetworkInput;
}

/** The 36 boxes of an image, in the order of its row. */
export interface ChosenBoxes {
  readonly objects_id: BigInt64Array;
  readonly objects_conf: Float32Array;
  readonly attrs_id: BigInt64Array;
  readonly attrs_conf: Float32Array;
  /** (36, 4): x1, y1, x2, y2 in pixels of the image. */
  readonly boxes: Float32Array;
  /** (36, 2048) */
  readonly features: Float32Array;
}

answerInOrder(async (request: ImageRequest): Promise<unknown> => {
  switch (request.type) {
    case 'measure':
      return countPixels(request.path);
    case 'prepare':
      return prepareImage(request.path);
    case 'propose':
      return propose(request.scores, request.input, request.limit);
    case 'choose':
      return chooseBoxes(request.rois, request.scale, request.head);
  }
});

async function prepareImage(path: string): Promise<PreparedImage> {
  const bitmap = await decodeImage(path);
  checkInputSize(bitmap.height, bitmap.width);
  return { height: bitmap.height, width: bitmap.width, input: makeNetworkInput(bitmap) };
}

function propose(scores: ProposalScores, input: InputSize, limit: number): Float32Array {
  checkFinite(scores.probabilities, 'proposal scores');
  const rois = proposeRegions(scores, input, limit);
  const count = rois.length / 5;
  if (count >= BOXES) return rois;
  throw new LxmertDataError('ERR_IMAGE', {
    what: `only ${count} regions of at least 16 x 16 pixels were found, ${BOXES} are needed`,
  });
}

function chooseBoxes(rois: Float32Array, scale: number, head: HeadOutput): ChosenBoxes {
  checkFinite(head.objects, 'class probabilities');
  const boxes = scaleRegions(rois, scale);
  const chosen = chooseRegions(rateRegions(boxes, head.objects));
  const objects = findBestClasses(head.objects, chosen, OBJECT_CLASSES);
  const attributes = findBestClasses(head.attributes, chosen, ATTRIBUTE_CLASSES);
  const features = takeRows(head.features, chosen, FEATURE_SIZE);
  checkFinite(features, 'features');
  checkFinite(attributes.confidences, 'attribute probabilities');
  return {
    objects_id: BigInt64Array.from(objects.ids, BigInt),
    objects_conf: objects.confidences,
    attrs_id: BigInt64Array.from(attributes.ids, BigInt),
    attrs_conf: attributes.confidences,
    boxes: takeRows(boxes, chosen, 4),
    features,
  };
}

function takeRows(values: Float32Array, rows: Int32Array, size: number): Float32Array {
  const taken = new Float32Array(rows.length * size);
  rows.forEach((row, place) => taken.set(values.subarray(row * size, (row + 1) * size), place * size));
  return taken;
}

function checkFinite(values: Float32Array, name: string): void {
  if (values.every(Number.isFinite)) return;
  throw new LxmertDataError('ERR_IMAGE', { what: `the network's ${name} are not finite` });
}
