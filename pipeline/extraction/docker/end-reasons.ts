import { EXTRACTOR_EXIT } from '../contract.ts';
import type { ExtractorEnd } from '../process.ts';
import type { ContainerState } from './engine.ts';
import { NO_SHELL } from './engine-errors.ts';

/** What the end of a container's standard error means. With `fatal`, retrying cannot help. */
interface Reason {
  readonly pattern: RegExp;
  /** `$1` stands for what the pattern captures. */
  readonly why: string;
  readonly fatal?: true;
}

const OTHER_WAYS = 'use a GPU of the Pascal generation or older, another --image, or --backend embedded';

const REASONS: readonly Reason[] = [
  {
    pattern: /cudaSuccess \((35|38|100|30) vs\. 0\)|driver version is insufficient|no CUDA-capable device/,
    why: 'the GPU or its driver does not reach the container: install the NVIDIA Container Toolkit and a recent driver',
    fatal: true,
  },
  {
    pattern:
      /cudaSuccess \((8|48|98|209) vs\. 0\)|invalid device function|no kernel image|CUDNN_STATUS_(EXECUTION_FAILED|ARCH_MISMATCH|NOT_SUPPORTED)/,
    why: `the image was not made for this GPU: ${OTHER_WAYS}`,
    fatal: true,
  },
  {
    pattern: /Cannot use GPU in CPU-only Caffe/,
    why: 'the Caffe of this image has no GPU code: --gpus none, or another --image',
    fatal: true,
  },
  {
    pattern: /cudaSuccess \(2 vs\. 0\)|CUDA.*out of memory|CUDNN_STATUS_ALLOC_FAILED/i,
    why: 'the GPU is out of memory: up to 12 GB are needed for each worker; end other programs on it, or lower --per-gpu',
  },
  { pattern: /No space left on device/, why: 'the disk is full' },
  {
    pattern: /Permission denied: .*\/rows/,
    why: 'the container may not write rows: the folder must be writable for the calling user',
  },
  {
    pattern: /(ReadProtoFromBinaryFile|\.caffemodel|Cannot copy param|Failed to parse NetParameter)/,
    why: 'Caffe cannot use these weights',
    fatal: true,
  },
  {
    pattern: /MemoryError|std::bad_alloc|^out of memory$/m,
    why: 'the container was out of memory: raise --memory',
  },
  {
    pattern: /No module named '?([\w.]+)'?/,
    why: 'the Python module $1 is missing in the image',
    fatal: true,
  },
  { pattern: /exec \/bin\/sh failed: No such file/, why: NO_SHELL, fatal: true },
  {
    pattern: /exec: python3?: not found|python3?: not found/,
    why: 'the image has no Python',
    fatal: true,
  },
];

export interface EndedContainer extends ContainerState {
  readonly stderrTail: string;
  readonly memoryBytes: number;
}

/** Says in one sentence why a container ended; the exit code becomes that of the contract where another try cannot help. */
export function explainEnd(end: EndedContainer): ExtractorEnd {
  const { exitCode: code, stderrTail } = end;
  if (code === EXTRACTOR_EXIT.done) return { code, signal: null, stderrTail };
  if (end.oomKilled) {
    const limit = (end.memoryBytes / 2 ** 30).toFixed(1);
    const why = `the container needed more than its ${limit} GiB of memory: raise --memory`;
    return { code, signal: null, why, stderrTail };
  }
  for (const { pattern, why, fatal } of REASONS) {
    const match = pattern.exec(stderrTail);
    if (match === null) continue;
    const shown = fatal === true ? EXTRACTOR_EXIT.device : code;
    return { code: shown, signal: null, why: why.replace('$1', match[1] ?? ''), stderrTail };
  }
  if (code === 137) {
    const why = 'the container was killed from outside';
    return { code, signal: null, why, stderrTail, isFromOutside: true };
  }
  if (end.error !== '') return { code, signal: null, why: end.error, stderrTail };
  return { code, signal: null, stderrTail };
}
