import protobuf from 'protobufjs';

/** Reads protobuf by hand, for files of which only a part is wanted. */
export type ProtobufReader = protobuf.Reader;

export function createProtobufReader(bytes: Uint8Array): ProtobufReader {
  return protobuf.Reader.create(bytes);
}

/** Message types from their declaration, with the names that stand in it. */
export function parseProtobufTypes(declaration: string): protobuf.Root {
  return protobuf.parse(declaration, { keepCase: true }).root;
}
