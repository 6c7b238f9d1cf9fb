/** Weights of the detector, whatever they come from. */
export interface Weights {
  /** sha256 of the caffemodel, or `untrained` for the formula's. */
  readonly id: string;
  /** Float32 values of blob `LAYER/INDEX`, row-major in Caffe's shape. */
  read(blob: string): Promise<Float32Array>;
  close(): Promise<void>;
}
