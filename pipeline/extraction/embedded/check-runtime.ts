import { createRequire } from 'node:module';
import { LxmertDataError } from '../../errors.ts';
import { TOOL_VERSION } from '../../version.ts';

/**
 * Throws ERR_LIBRARY where onnxruntime-node is not installed. It is an optional dependency: its install script fetches CUDA libraries
 * that the CPU does not need, and npm leaves the package out where that fails.
 */
export function checkRuntime(): void {
  try {
    createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  } catch (cause) {
    throw new LxmertDataError('ERR_LIBRARY', {
      what: 'the embedded detector needs onnxruntime-node, which is not installed',
      hint: `install again without install scripts: npm install --ignore-scripts lxmert-data@${TOOL_VERSION} (add -g if it is installed globally)`,
      cause,
    });
  }
}
