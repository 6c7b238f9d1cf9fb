/**
 * The bottom-up-attention detector as data: ResNet-101 Faster R-CNN over Visual Genome (1600 objects, 400
 * attributes). Everything that must agree with the Caffe prototxt about layers and blob shapes is in this file.
 */

/** Channels of the map that both the proposals and the ROI pooling read, one cell every 16 pixels. */
export const FEATURE_CHANNELS = 1024;
export const FEATURE_STRIDE = 16;
/** Bins of the ROI pooling along each side. */
export const POOLED_SIZE = 14;
export const FEATURE_SIZE = 2048;
export const ANCHORS_PER_CELL = 12;
/** Object classes with the background (class 0). */
export const OBJECT_CLASSES = 1601;
/** Attribute classes with "none" (class 0). */
export const ATTRIBUTE_CLASSES = 401;
const EMBEDDING_SIZE = 256;
const ATTRIBUTE_HIDDEN = 512;

export interface Convolution {
  /** Caffe's layer name; its BatchNorm and Scale layers are named after it. */
  readonly layer: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

export interface Bottleneck {
  readonly reduce: Convolution;
  readonly spatial: Convolution;
  readonly expand: Convolution;
  /** The 1x1 convolution of the shortcut; only the first block of a stage has one. */
  readonly shortcut?: Convolution;
}

interface Stage {
  readonly blocks: readonly string[];
  readonly middle: number;
  readonly inputs: number;
  readonly stride: number;
  readonly dilation: number;
}

export const CONV1: Convolution = convolve({ layer: 'conv1', inputs: 3, outputs: 64, kernel: 7, stride: 2 });
/** Caffe rounds the size of a pooled map up and cuts the last windows off at the border. */
export const POOL1 = { kernel: 3, stride: 2 } as const;

const numbered = (count: number): string[] => [
  'a',
  ...Array.from({ length: count }, (_, index) => `b${index + 1}`),
];

/** The first stage of blocks. */
export const STEM_BLOCKS: readonly Bottleneck[] = buildStage('res2', {
  blocks: ['a', 'b', 'c'],
  middle: 64,
  inputs: 64,
  stride: 1,
  dilation: 1,
});

/** res3 and res4, run once an image. The stride is on the first 1x1, as in the original ResNet. */
export const BACKBONE_BLOCKS: readonly Bottleneck[] = [
  ...buildStage('res3', { blocks: numbered(3), middle: 128, inputs: 256, stride: 2, dilation: 1 }),
  ...buildStage('res4', { blocks: numbered(22), middle: 256, inputs: 512, stride: 2, dilation: 1 }),
];

/** res5, run once a region: no stride, every 3x3 dilated by 2. */
export const HEAD_BLOCKS: readonly Bottleneck[] = buildStage('res5', {
  blocks: ['a', 'b', 'c'],
  middle: 512,
  inputs: FEATURE_CHANNELS,
  stride: 1,
  dilation: 2,
});

/** Layers with a weight of this shape and one bias for each of its rows. */
export const BIASED_LAYERS: Readonly<Record<string, readonly number[]>> = {
  'rpn_conv/3x3': [512, FEATURE_CHANNELS, 3, 3],
  rpn_cls_score: [2 * ANCHORS_PER_CELL, 512, 1, 1],
  rpn_bbox_pred: [4 * ANCHORS_PER_CELL, 512, 1, 1],
  cls_score: [OBJECT_CLASSES, FEATURE_SIZE],
  fc_attr: [ATTRIBUTE_HIDDEN, FEATURE_SIZE + EMBEDDING_SIZE],
  attr_score: [ATTRIBUTE_CLASSES, ATTRIBUTE_HIDDEN],
};

/** Rows of the table that turns an object class into a vector. */
export const EMBEDDING_SHAPE = [OBJECT_CLASSES, EMBEDDING_SIZE] as const;

export function listConvolutions(): Convolution[] {
  return [...listStemConvolutions(), ...[...BACKBONE_BLOCKS, ...HEAD_BLOCKS].flatMap(listBlock)];
}

/** conv1 and the first stage: what is computed in double. */
export function listStemConvolutions(): Convolution[] {
  return [CONV1, ...STEM_BLOCKS.flatMap(listBlock)];
}

function listBlock(block: Bottleneck): Convolution[] {
  return [block.shortcut, block.reduce, block.spatial, block.expand].filter(part => part !== undefined);
}

/** Names of the BatchNorm and Scale layers behind a convolution: `bn_conv1`, `bn2a_branch1`, … */
export function nameNormalization(convolution: string): { batchNorm: string; scale: string } {
  const suffix = convolution === 'conv1' ? '_conv1' : convolution.replace(/^res/, '');
  return { batchNorm: `bn${suffix}`, scale: `scale${suffix}` };
}

/** Every blob that the network reads, `LAYER/INDEX` to its shape: 637 of a caffemodel's 639 (`bbox_pred` is not used). */
export function listBlobs(): Map<string, readonly number[]> {
  const blobs = new Map<string, readonly number[]>();
  for (const { layer, inputs, outputs, kernel } of listConvolutions()) {
    const { batchNorm, scale } = nameNormalization(layer);
    blobs.set(`${layer}/0`, [outputs, inputs, kernel, kernel]);
    blobs.set(`${batchNorm}/0`, [outputs]);
    blobs.set(`${batchNorm}/1`, [outputs]);
    blobs.set(`${batchNorm}/2`, [1]);
    blobs.set(`${scale}/0`, [outputs]);
    blobs.set(`${scale}/1`, [outputs]);
  }
  for (const [layer, shape] of Object.entries(BIASED_LAYERS)) {
    blobs.set(`${layer}/0`, shape);
    blobs.set(`${layer}/1`, [shape[0]!]);
  }
  blobs.set('cls_embedding/0', EMBEDDING_SHAPE);
  return blobs;
}

/** A convolution without stride and dilation, unless it says otherwise. */
function convolve(
  convolution: Omit<Convolution, 'stride' | 'dilation'> & Partial<Pick<Convolution, 'stride' | 'dilation'>>,
): Convolution {
  return { stride: 1, dilation: 1, ...convolution };
}

function buildStage(stage: string, { blocks, middle, inputs, stride, dilation }: Stage): Bottleneck[] {
  return blocks.map((block, index) => {
    const name = (branch: string): string => `${stage}${block}_branch${branch}`;
    const first = index === 0;
    const outer = 4 * middle;
    const blockInputs = first ? inputs : outer;
    const blockStride = first ? stride : 1;
    return {
      reduce: convolve({
        layer: name('2a'),
        inputs: blockInputs,
        outputs: middle,
        kernel: 1,
        stride: blockStride,
      }),
      spatial: convolve({ layer: name('2b'), inputs: middle, outputs: middle, kernel: 3, dilation }),
      expand: convolve({ layer: name('2c'), inputs: middle, outputs: outer, kernel: 1 }),
      ...(first && {
        shortcut: convolve({
          layer: name('1'),
          inputs: blockInputs,
          outputs: outer,
          kernel: 1,
          stride: blockStride,
        }),
      }),
    };
  });
}
