import type { Convolution } from './network.ts';
import { CONV1, POOL1, STEM_BLOCKS } from './network.ts';
import type { OnnxGraph, WeightTable } from './onnx-model.ts';

const TO_THE_END = 2 ** 53 - 1;

/**
 * conv1, pool1 and res2 in double precision; gives the name of res2c.
 *
 * Rounding errors of these layers grow through all that follow and would be most of the difference to an exact
 * result: with float32 here the corners of proposals are off by up to 0.007 pixel, with double by less than half of
 * that. They are a hundredth of the work. onnxruntime has no convolution in double, so pixels are gathered (each
 * tap of the kernel is a slice of the padded map) and multiplied as matrices.
 */
export function addStem(graph: OnnxGraph, table: WeightTable, data: string): string {
  const stem = new StemBuilder(graph, table);
  const pixels = graph.cast(data, 'float64', 'data/double');
  const conv1 = stem.relu(stem.convolve(CONV1, pixels), 'conv1/double');
  const { kernel, stride } = POOL1;
  let value = graph.add('MaxPool', [conv1], 'pool1/double', {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [0, 0, 0, 0],
    ceil_mode: 1,
  });
  for (const { reduce, spatial, expand, shortcut } of STEM_BLOCKS) {
    const block = reduce.layer.replace(/_branch.*$/, '');
    const reduced = stem.relu(stem.convolve(reduce, value), `${reduce.layer}/double`);
    const filtered = stem.relu(stem.convolve(spatial, reduced), `${spatial.layer}/double`);
    const expanded = stem.convolve(expand, filtered);
    const passed = shortcut === undefined ? value : stem.convolve(shortcut, value);
    value = stem.relu(graph.add('Add', [passed, expanded], `${block}/sum`), `${block}/double`);
  }
  return value;
}

class StemBuilder {
  readonly #graph: OnnxGraph;
  readonly #table: WeightTable;

  constructor(graph: OnnxGraph, table: WeightTable) {
    this.#graph = graph;
    this.#table = table;
  }

  relu(value: string, output: string): string {
    return this.#graph.add('Relu', [value], output);
  }

  convolve(convolution: Convolution, input: string): string {
    const { layer, outputs, kernel } = convolution;
    const graph = this.#graph;
    const gathered = kernel === 1 ? input : this.#gather(convolution, input);
    const size = graph.add('Shape', [gathered], `${layer}/size`, { start: 2, end: 4 });
    const columns = graph.add(
      'Reshape',
      [gathered, graph.integers('as_matrix', [0, 0, -1])],
      `${layer}/columns`,
    );
    const product = graph.add('MatMul', [this.#weight(`${layer}.weight`), columns], `${layer}/product`);
    const biased = graph.add('Add', [product, this.#weight(`${layer}.bias`)], `${layer}/biased`);
    const channels = graph.integers(`${layer}/channels`, [1, outputs]);
    const shape = graph.add('Concat', [channels, size], `${layer}/shape`, { axis: 0 });
    return graph.add('Reshape', [biased, shape], `${layer}/scaled`);
  }

  /** (1, inputs, H, W) to (1, kernel * kernel * inputs, h, w) */
  #gather({ layer, kernel, stride }: Convolution, input: string): string {
    const graph = this.#graph;
    const pad = Math.floor(kernel / 2);
    const pads = graph.integers(`pad_${pad}`, [0, 0, pad, pad, 0, 0, pad, pad]);
    const padded = graph.add('Pad', [input, pads], `${layer}/padded`);
    const axes = graph.integers('image_axes', [2, 3]);
    const steps = graph.integers(`steps_${stride}`, [stride, stride]);
    const end = (tap: number): number => (tap === kernel - 1 ? TO_THE_END : tap - kernel + 1);
    const slices: string[] = [];
    for (let y = 0; y < kernel; y += 1) {
      for (let x = 0; x < kernel; x += 1) {
        const starts = graph.integers(`start_${y}_${x}`, [y, x]);
        const ends = graph.integers(`end_${kernel}_${y}_${x}`, [end(y), end(x)]);
        slices.push(graph.add('Slice', [padded, starts, ends, axes, steps], `${layer}/tap_${y}_${x}`));
      }
    }
    return graph.add('Concat', slices, `${layer}/taps`, { axis: 1 });
  }

  #weight(name: string): string {
    const entry = this.#table.get(name);
    if (entry === undefined) throw new RangeError(`no weights named ${name}`);
    return this.#graph.weights(name, entry);
  }
}
