import { parseProtobufTypes } from './protobuf.ts';

/** The part of onnx.proto that our graphs need. */
const root = parseProtobufTypes(
  `
  syntax = "proto3";
  message ModelProto { int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; }
  message OperatorSetIdProto { string domain = 1; int64 version = 2; }
  message GraphProto { repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5; repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
  message NodeProto { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated AttributeProto attribute = 5; }
  message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated int64 ints = 8; int32 type = 20; }
  message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; repeated StringStringEntryProto external_data = 13; int32 data_location = 14; }
  message StringStringEntryProto { string key = 1; string value = 2; }
  message ValueInfoProto { string name = 1; TypeProto type = 2; }
  message TypeProto { TensorTypeProto tensor_type = 1; }
  message TensorTypeProto { int32 elem_type = 1; TensorShapeProto shape = 2; }
  message TensorShapeProto { repeated DimensionProto dim = 1; }
  message DimensionProto { oneof value { int64 dim_value = 1; string dim_param = 2; } }
`,
);
const MODEL_TYPE = root.lookupType('ModelProto');

const IR_VERSION = 8;
const OPSET_VERSION = 17;
const DATA_TYPES = { float32: 1, int64: 7, float64: 11 } as const;
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, ints: 7 } as const;
const EXTERNAL_LOCATION = 1;

export type DataType = keyof typeof DATA_TYPES;
/** A number of elements, or the name of a size known only at run time. */
export type Dimension = number | string;
/** An integer, a list of integers or a text; a float is given as `{ float }`. */
export type AttributeValue = number | readonly number[] | string | { readonly float: number };

/** Where an initializer's little-endian bytes lie in a file beside the model. */
export interface ExternalTensor {
  readonly type: 'float32' | 'float64';
  readonly shape: readonly number[];
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** The tensors that graphs read, by the names `LAYER.weight` and `LAYER.bias`. */
export type WeightTable = ReadonlyMap<string, ExternalTensor>;

/** Collects one ONNX graph. Values are named by strings; `add` returns the name of the node's first output. */
export class OnnxGraph {
  readonly #name: string;
  readonly #nodes: object[] = [];
  readonly #initializers = new Map<string, object>();
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  input(name: string, type: DataType, shape: readonly Dimension[]): string {
    this.#inputs.push(describeValue(name, type, shape));
    return name;
  }

  output(name: string, type: DataType, shape: readonly Dimension[]): void {
    this.#outputs.push(describeValue(name, type, shape));
  }

  /** Adds a node that makes `output` and returns that name. */
  add(
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    this.#nodes.push({
      op_type: operator,
      name: output,
      input: inputs,
      output: [output],
      attribute: Object.entries(attributes).map(([name, value]) => describeAttribute(name, value)),
    });
    return output;
  }

  /** A tensor kept in another file. */
  weights(name: string, { type, shape, location, offset, length }: ExternalTensor): string {
    const entries = { location, offset: String(offset), length: String(length) };
    this.#initializers.set(name, {
      name,
      dims: shape,
      data_type: DATA_TYPES[type],
      data_location: EXTERNAL_LOCATION,
      external_data: Object.entries(entries).map(([key, value]) => ({ key, value })),
    });
    return name;
  }

  /** A small int64 vector inside the model, for shapes and axes. */
  integers(name: string, values: readonly number[]): string {
    const raw = new BigInt64Array(values.map(BigInt));
    this.#initializers.set(name, {
      name,
      dims: [values.length],
      data_type: DATA_TYPES.int64,
      raw_data: new Uint8Array(raw.buffer),
    });
    return name;
  }

  cast(value: string, type: DataType, output: string): string {
    return this.add('Cast', [value], output, { to: DATA_TYPES[type] });
  }

  encode(): Uint8Array {
    const model = {
      ir_version: IR_VERSION,
      producer_name: 'lxmert-data',
      opset_import: [{ domain: '', version: OPSET_VERSION }],
      graph: {
        name: this.#name,
        node: this.#nodes,
        initializer: [...this.#initializers.values()],
        input: this.#inputs,
        output: this.#outputs,
      },
    };
    return MODEL_TYPE.encode(MODEL_TYPE.create(model)).finish();
  }
}

function describeValue(name: string, type: DataType, shape: readonly Dimension[]): object {
  const dim = shape.map(size => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }));
  return { name, type: { tensor_type: { elem_type: DATA_TYPES[type], shape: { dim } } } };
}

function describeAttribute(name: string, value: AttributeValue): object {
  if (typeof value === 'number') return { name, i: value, type: ATTRIBUTE_TYPES.int };
  if (typeof value === 'string') return { name, s: Buffer.from(value), type: ATTRIBUTE_TYPES.string };
  if ('float' in value) return { name, f: value.float, type: ATTRIBUTE_TYPES.float };
  return { name, ints: value, type: ATTRIBUTE_TYPES.ints };
}
