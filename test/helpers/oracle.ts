import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the original Caffe network put out for a few images, with the formula's weights. Not part of the project. */
export const ORACLE = join(import.meta.dirname, '../../../shared/oracle');
export const hasOracle = existsSync(join(ORACLE, 'report.json'));

export interface OracleTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array;
}

export interface OracleImage {
  readonly name: string;
  readonly path: string;
  /** CRC-32 in hex of the decoded pixels and of the network's input. */
  readonly pixelsCrc32: string;
  readonly inputCrc32: string;
  readonly scale: number;
  readonly inputShape: readonly number[];
}

interface ReportEntry {
  readonly file: string;
  readonly im_scale: number;
  readonly data_shape: readonly number[];
  readonly crc32_im_bgr_u8: string;
  readonly crc32_data_f32: string;
}

export function readOracle(file: string): unknown {
  return JSON.parse(readFileSync(join(ORACLE, file), 'utf8'));
}

/** Images of the report whose picture is there, in the report's order. */
export function listOracleImages(folder = join(ORACLE, 'images')): OracleImage[] {
  const files = new Set(readdirSync(folder));
  const report = Object.entries(readOracle('report.json') as Record<string, ReportEntry>);
  return report
    .filter(([, entry]) => files.has(entry.file))
    .map(([name, entry]) => ({
      name,
      path: join(folder, entry.file),
      pixelsCrc32: entry.crc32_im_bgr_u8,
      inputCrc32: entry.crc32_data_f32,
      scale: entry.im_scale,
      inputShape: entry.data_shape,
    }));
}

/** Tensors of `intermediates/NAME.safetensors`. */
export function readIntermediates(name: string): (tensor: string) => OracleTensor {
  const file = readFileSync(join(ORACLE, 'intermediates', `${name}.safetensors`));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return tensor => {
    const { dtype, shape, data_offsets } = header[tensor]!;
    const bytes = Uint8Array.from(file.subarray(start + data_offsets[0], start + data_offsets[1])).buffer;
    if (dtype === 'F32') return { shape, values: new Float32Array(bytes) };
    if (dtype === 'F64') return { shape, values: new Float64Array(bytes) };
    return { shape, values: Float64Array.from(new BigInt64Array(bytes), Number) };
  };
}

export interface OracleRow {
  readonly objects_id: BigInt64Array;
  readonly objects_conf: Float32Array;
  readonly attrs_id: BigInt64Array;
  readonly attrs_conf: Float32Array;
  readonly boxes: Float32Array;
  readonly features: Float32Array;
}

/** The row that the original extraction wrote for image `name`, decoded. */
export function readExpectedRow(name: string): OracleRow {
  const lines = readFileSync(join(ORACLE, 'expected_obj36.tsv'), 'latin1').split('\r\n');
  const fields = lines.map(line => line.split('\t')).find(([id]) => id === name)!;
  const decode = (index: number): ArrayBuffer =>
    Uint8Array.from(Buffer.from(fields[index]!, 'base64')).buffer;
  return {
    objects_id: new BigInt64Array(decode(3)),
    objects_conf: new Float32Array(decode(4)),
    attrs_id: new BigInt64Array(decode(5)),
    attrs_conf: new Float32Array(decode(6)),
    boxes: new Float32Array(decode(8)),
    features: new Float32Array(decode(9)),
  };
}

/** Largest absolute difference; infinite where the lengths differ or a value is NaN. */
export function measureDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
  }
  return worst;
}

/** Every `step[d]`-th element of dimension d of a (c, h, w) array: how the intermediates were thinned. */
export function thin(
  values: ArrayLike<number>,
  [channels, height, width]: readonly [number, number, number],
  [channelStep, rowStep, columnStep]: readonly [number, number, number],
): Float32Array {
  const thinned: number[] = [];
  for (let c = 0; c < channels; c += channelStep) {
    for (let y = 0; y < height; y += rowStep) {
      for (let x = 0; x < width; x += columnStep) thinned.push(values[(c * height + y) * width + x]!);
    }
  }
  return Float32Array.from(thinned);
}
