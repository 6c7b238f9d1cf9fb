import type { Problem } from './problem.ts';

/** What stages tell while they work. With `--json` each is printed as one line. */
export type PipelineEvent =
  | { readonly event: 'start'; readonly stage: string; readonly input: string; readonly bytes: number }
  | {
      readonly event: 'progress';
      readonly stage: string;
      readonly input: string;
      readonly done: number;
      readonly total: number;
      /** What `done` and `total` count. */
      readonly unit: 'bytes' | 'images' | 'files' | 'records';
      readonly rows?: number;
      /** More for people, such as the speed of each worker. */
      readonly detail?: string;
    }
  | ({ readonly event: 'problem' } & Problem)
  | { readonly event: 'note'; readonly message: string }
  | { readonly event: 'warning'; readonly message: string }
  | {
      readonly event: 'result';
      readonly stage: string;
      readonly ok: boolean;
      readonly [detail: string]: unknown;
    };

export type Emit = (event: PipelineEvent) => void;

export interface StageContext {
  readonly emit: Emit;
  readonly signal: AbortSignal;
}
