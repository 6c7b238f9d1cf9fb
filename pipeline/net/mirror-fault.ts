/** Why a mirror did not hand out a file. */
export type FaultKind =
  | 'network'
  | 'stalled'
  | 'busy'
  | 'expired'
  | 'gone'
  | 'forbidden'
  | 'quota'
  | 'sign-in'
  | 'not-the-file'
  | 'wrong-size'
  | 'wrong-hash'
  | 'wrong-content'
  | 'insecure'
  | 'changed'
  | 'unsupported';

const TRANSIENT: readonly FaultKind[] = ['network', 'stalled', 'busy', 'expired'];

/** A mirror's failure. Transient ones are worth another try, the others mean: next mirror. */
export class MirrorFault extends Error {
  readonly kind: FaultKind;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: FaultKind,
    message: string,
    options: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MirrorFault';
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** There is no such host, or it answers to nothing: waiting long will hardly help. */
  get isUnreachable(): boolean {
    const { cause } = this;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    return ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code);
  }

  get isTransient(): boolean {
    return TRANSIENT.includes(this.kind);
  }
}
