import type { Block } from './block-pool.ts';
import type { FeatureDtype } from '../feature-dtype.ts';
import type { ProblemCode, RowProblem } from '../../problem.ts';
import type { RowShapeName } from '../row-shape.ts';

/** What a decoding thread is asked: rows `spans` of `block.text`, into `block.features` and `block.records`. */
export interface BlockRequest {
  readonly block: Block;
  readonly spans: Int32Array;
  readonly shape: RowShapeName;
  readonly dtype: FeatureDtype;
}

export interface LineResult {
  readonly status: 'ok' | 'bad' | 'blank';
  /** Index of an ok row in the block's memory; ok rows have the slots 0, 1, … in their order. */
  readonly slot: number;
  /** Bytes of the line. */
  readonly length: number;
  /** As far as it could be read. */
  readonly imgId: string | null;
  readonly parts?: readonly string[];
  /** Text of a blank line. */
  readonly blank?: string;
  readonly problems?: readonly RowProblem[];
}

export interface BlockReply {
  readonly lines: readonly LineResult[];
  /** Exact number of problems by code, also those without text. */
  readonly counts: ReadonlyMap<ProblemCode, number>;
}
