/** What an export wrote, whatever its format. */
export interface ExportResult {
  readonly ok: true;
  readonly out: string;
  readonly rows: number;
  readonly bytes: number;
  /** False for f16 and bf16 stores, whose features were rounded. */
  readonly lossless: boolean;
}
