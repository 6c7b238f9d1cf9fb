import { writeFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { makeFormulaBlob } from '../../pipeline/detector/model/formula-weights.ts';
import { listBlobs } from '../../pipeline/detector/model/network.ts';

export interface TestBlob {
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** How the values are written; packed float32 by default. */
  readonly form?: 'packed' | 'unpacked' | 'double';
}

const { Writer } = protobuf;

/** One layer with its blobs, framed as a field of NetParameter: of today's form or of the legacy one. */
export function encodeLayer(name: string, blobs: readonly TestBlob[], legacy = false): Uint8Array {
  const layer = Writer.create();
  layer.uint32(((legacy ? 4 : 1) << 3) | 2).string(name);
  // A field that readers do not know and must skip.
  layer.uint32((2 << 3) | 2).string('Convolution');
  for (const blob of blobs) layer.uint32(((legacy ? 6 : 7) << 3) | 2).bytes(encodeBlob(blob, legacy));
  const body = layer.finish();
  return Writer.create()
    .uint32((((legacy ? 2 : 100) << 3) | 2) >>> 0)
    .bytes(body)
    .finish();
}

function encodeBlob({ shape, values, form = 'packed' }: TestBlob, legacy: boolean): Uint8Array {
  const blob = Writer.create();
  if (legacy) {
    const sizes = [...Array<number>(4 - shape.length).fill(1), ...shape];
    for (const [index, size] of sizes.entries()) blob.uint32((index + 1) << 3).int32(size);
  } else {
    const dimensions = Writer.create();
    for (const size of shape) dimensions.int64(size);
    const list = Writer.create()
      .uint32((1 << 3) | 2)
      .bytes(dimensions.finish())
      .finish();
    blob.uint32((7 << 3) | 2).bytes(list);
  }
  if (form === 'packed') {
    blob.uint32((5 << 3) | 2).bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  } else if (form === 'unpacked') {
    for (const value of values) blob.uint32((5 << 3) | 5).float(value);
  } else {
    blob.uint32((8 << 3) | 2).bytes(new Uint8Array(Float64Array.from(values).buffer));
  }
  return blob.finish();
}

/** A caffemodel of the formula's weights; `change` may alter or, with undefined, leave out blobs. */
export function writeCaffemodel(
  path: string,
  { legacy = false, change = (_name: string, blob: TestBlob): TestBlob | undefined => blob } = {},
): void {
  const layers = new Map<string, TestBlob[]>();
  for (const [blob, shape] of listBlobs()) {
    const layer = blob.slice(0, blob.lastIndexOf('/'));
    const changed = change(blob, { shape, values: makeFormulaBlob(blob) });
    layers.set(layer, [...(layers.get(layer) ?? []), ...(changed === undefined ? [] : [changed])]);
  }
  // A name and a layer without weights come first, as in real files.
  writeFileSync(
    path,
    Writer.create()
      .uint32((1 << 3) | 2)
      .string('VGG')
      .finish(),
  );
  writeFileSync(path, encodeLayer('input-data', [], legacy), { flag: 'a' });
  for (const [name, blobs] of layers) writeFileSync(path, encodeLayer(name, blobs, legacy), { flag: 'a' });
}
