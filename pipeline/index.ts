export { LxmertDataError, type ErrorCode, type ErrorParts } from './errors.ts';
export type { Emit, PipelineEvent, StageContext } from './events.ts';
export type { FeatureDtype } from './rows/feature-dtype.ts';
export type { Problem, ProblemCode } from './problem.ts';
export { convert, type ConvertOptions, type ConvertResult } from './stages/convert.ts';
export { EXPORT_FORMATS, type ExportFormat, findExportFormat } from './export/formats.ts';
export { exportWithPython, type ExportPythonOptions } from './stages/export-python.ts';
export type { ExportResult } from './export/export-result.ts';
export { exportTsv, type ExportTsvOptions } from './stages/export-tsv.ts';
export { validate, type ValidateOptions, type ValidateResult } from './stages/validate.ts';
export {
  verifyStore,
  verifyStores,
  type StoreOutcome,
  type VerifyStoresOptions,
} from './stages/verify-store.ts';
export type { StoreCheck } from './store/check-store.ts';
export type { Provenance } from './store/metadata.ts';
export { readPinnedIds, type PinnedIds } from './inputs/pinned-ids.ts';
export {
  compareStores,
  type CompareStoresOptions,
  type CompareStoresResult,
} from './stages/compare-stores.ts';
export { openStore, type FeatureStore, type StoreRow } from './store/feature-store.ts';
