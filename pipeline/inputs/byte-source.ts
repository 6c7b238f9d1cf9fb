/** A stream of bytes that is pulled into the caller's memory. */
export interface ByteSource {
  /** Base name of the TSV, for messages and for the store's metadata. */
  readonly name: string;
  /** How to name it in messages: the path, or zip and member. */
  readonly label: string;
  /** Bytes of the whole TSV. */
  readonly size: number;
  /** What is unusual about the source and does not change its bytes. */
  readonly warnings?: readonly string[];
  /** Fills `into` as far as it can; 0 only at the end. */
  read(into: Uint8Array): Promise<number>;
  /** Call after the last byte: fails where the source can prove that it was damaged. */
  finish(): Promise<void>;
  close(): Promise<void>;
}
