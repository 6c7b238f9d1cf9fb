import { addStem } from './stem.ts';
import type { Bottleneck, Convolution } from './network.ts';
import {
  ANCHORS_PER_CELL,
  ATTRIBUTE_CLASSES,
  BACKBONE_BLOCKS,
  FEATURE_CHANNELS,
  FEATURE_SIZE,
  FEATURE_STRIDE,
  HEAD_BLOCKS,
  OBJECT_CLASSES,
  POOLED_SIZE,
} from './network.ts';
import type { Dimension, WeightTable } from './onnx-model.ts';
import { OnnxGraph } from './onnx-model.ts';

/** Values of the stem that can be tapped; they are computed in double. */
const STEM_TAPS = ['conv1', 'pool1'];

/**
 * Image to features and proposals.
 *
 * Input `data` float32 (1, 3, H, W). Outputs `res4b22` (1, 1024, h, w), `rpn_cls_prob` (1, 24, h, w: background of the
 * 12 anchors, then foreground) and `rpn_bbox_pred` (1, 48, h, w). `taps` names further values to put out, by
 * Caffe's blob names, with their channels.
 */
export function buildBackboneGraph(
  table: WeightTable,
  taps: ReadonlyMap<string, number> = new Map(),
): Uint8Array {
  const builder = new LayerBuilder('backbone', table);
  const { graph } = builder;
  const data = graph.input('data', 'float32', [1, 3, 'height', 'width']);
  let value = graph.cast(addStem(graph, table, data), 'float32', 'res2c');
  for (const block of BACKBONE_BLOCKS) value = builder.bottleneck(block, value);

  const rpn = builder.relu(builder.biasedConvolve('rpn_conv/3x3', value, 'rpn_conv'), 'rpn/output');
  const scores = builder.biasedConvolve('rpn_cls_score', rpn, 'rpn_cls_score');
  const pairs = graph.add('Reshape', [scores, graph.integers('pairs', [1, 2, -1])], 'rpn_pairs');
  const probabilities = graph.add('Softmax', [pairs], 'rpn_pairs_prob', { axis: 1 });
  graph.add('Reshape', [probabilities, graph.add('Shape', [scores], 'rpn_shape')], 'rpn_cls_prob');
  builder.biasedConvolve('rpn_bbox_pred', rpn, 'rpn_bbox_pred');

  const map = (channels: number): Dimension[] => [1, channels, 'map_height', 'map_width'];
  graph.output(value, 'float32', map(FEATURE_CHANNELS));
  graph.output('rpn_cls_prob', 'float32', map(2 * ANCHORS_PER_CELL));
  graph.output('rpn_bbox_pred', 'float32', map(4 * ANCHORS_PER_CELL));
  for (const tap of STEM_TAPS) if (taps.has(tap)) graph.cast(`${tap}/double`, 'float32', tap);
  for (const [tap, channels] of taps) graph.output(tap, 'float32', [1, channels, `${tap}_h`, `${tap}_w`]);
  return graph.encode();
}

/**
 * Regions to features and classes.
 *
 * Inputs `res4b22` (1, 1024, h, w) and `rois` (n, 5: zero, x1, y1, x2, y2 in pixels of the network's input). Outputs
 * float32 `pool5_flat` (n, 2048), `cls_prob` (n, 1601), `attr_prob` (n, 401) and int64 `predicted_cls` (n).
 */
export function buildHeadGraph(table: WeightTable): Uint8Array {
  const builder = new LayerBuilder('head', table);
  const { graph } = builder;
  const map = graph.input('res4b22', 'float32', [1, FEATURE_CHANNELS, 'map_height', 'map_width']);
  const rois = graph.input('rois', 'float32', ['regions', 5]);
  let value = graph.add('MaxRoiPool', [map, rois], 'roipool5', {
    pooled_shape: [POOLED_SIZE, POOLED_SIZE],
    spatial_scale: { float: 1 / FEATURE_STRIDE },
  });
  for (const block of HEAD_BLOCKS) value = builder.bottleneck(block, value);
  const pool5 = graph.add('GlobalAveragePool', [value], 'pool5');
  const features = graph.add('Flatten', [pool5], 'pool5_flat', { axis: 1 });

  const scores = builder.innerProduct('cls_score', features);
  graph.add('Softmax', [scores], 'cls_prob', { axis: 1 });
  // Caffe's CPU code gives the last of equal scores; the background takes part.
  const winner = graph.add('ArgMax', [scores], 'predicted_cls', {
    axis: 1,
    keepdims: 0,
    select_last_index: 1,
  });
  const embedding = graph.add('Gather', [builder.weight('cls_embedding.weight'), winner], 'cls_embedding');
  const joined = graph.add('Concat', [features, embedding], 'concat_pool5', { axis: 1 });
  const hidden = builder.relu(builder.innerProduct('fc_attr', joined), 'fc_attr_relu');
  graph.add('Softmax', [builder.innerProduct('attr_score', hidden)], 'attr_prob', { axis: 1 });

  graph.output('pool5_flat', 'float32', ['regions', FEATURE_SIZE]);
  graph.output('cls_prob', 'float32', ['regions', OBJECT_CLASSES]);
  graph.output('attr_prob', 'float32', ['regions', ATTRIBUTE_CLASSES]);
  graph.output('predicted_cls', 'int64', ['regions']);
  return graph.encode();
}

class LayerBuilder {
  readonly graph: OnnxGraph;
  readonly #table: WeightTable;

  constructor(name: string, table: WeightTable) {
    this.graph = new OnnxGraph(name);
    this.#table = table;
  }

  weight(name: string): string {
    const entry = this.#table.get(name);
    if (entry === undefined) throw new RangeError(`no weights named ${name}`);
    return this.graph.weights(name, entry);
  }

  relu(value: string, output: string): string {
    return this.graph.add('Relu', [value], output);
  }

  convolve(
    { layer, kernel, stride, dilation }: Convolution,
    input: string,
    output = `${layer}/scaled`,
  ): string {
    const pad = dilation * Math.floor(kernel / 2);
    return this.graph.add(
      'Conv',
      [input, this.weight(`${layer}.weight`), this.weight(`${layer}.bias`)],
      output,
      {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        dilations: [dilation, dilation],
        pads: [pad, pad, pad, pad],
      },
    );
  }

  /** A convolution of the proposals: stride 1, output as large as the input. */
  biasedConvolve(layer: string, input: string, output: string): string {
    const [outputs = 0, inputs = 0, kernel = 0] = this.#table.get(`${layer}.weight`)?.shape ?? [];
    const shape = { inputs, outputs, kernel };
    return this.convolve({ layer, stride: 1, dilation: 1, ...shape }, input, output);
  }

  innerProduct(layer: string, input: string): string {
    const inputs = [input, this.weight(`${layer}.weight`), this.weight(`${layer}.bias`)];
    return this.graph.add('Gemm', inputs, layer, { transB: 1 });
  }

  /** Two 1x1 convolutions around a 3x3 one, added to the shortcut; named `res2a`, … like Caffe's blob. */
  bottleneck({ reduce, spatial, expand, shortcut }: Bottleneck, input: string): string {
    const block = reduce.layer.replace(/_branch.*$/, '');
    const reduced = this.relu(this.convolve(reduce, input), reduce.layer);
    const filtered = this.relu(this.convolve(spatial, reduced), spatial.layer);
    const expanded = this.convolve(expand, filtered);
    const passed = shortcut === undefined ? input : this.convolve(shortcut, input);
    return this.relu(this.graph.add('Add', [passed, expanded], `${block}/sum`), block);
  }
}
