import { LxmertDataError } from '../../errors.ts';
import type { StageContext } from '../../events.ts';
import {
  findPython,
  PYTHON_PROGRAM,
  type PythonLibrary,
  pythonEnvironment,
} from '../../python/find-python.ts';
import { startImageChecker } from '../image-checker.ts';
import { startExtractorProcess } from '../process.ts';
import type { Extractors } from '../run-extractors.ts';
import { chooseTorchDevices, listTorchDevices } from './devices.ts';

/** What the detector of the Python package imports. */
export const TORCH_LIBRARIES: readonly PythonLibrary[] = [
  { module: 'torch', requirement: 'torch>=2.5' },
  { module: 'numpy', requirement: 'numpy>=1.21' },
  { module: 'PIL', requirement: 'pillow>=9.1' },
];

export interface TorchOptions {
  /** Path of the weights, or `untrained`. */
  readonly weights: string;
  /** As `--device` has it. */
  readonly device?: string | undefined;
  /** Command of the Python to use; python3 or python where not given. */
  readonly python?: string | undefined;
  readonly rois?: number | undefined;
  /** Regions in the network at a time. */
  readonly batch?: number | undefined;
  /** Threads of the network on a CPU. */
  readonly threads?: number | undefined;
}

/** Finds a Python with PyTorch and the devices it sees. Throws ERR_LIBRARY, ERR_DEVICE and ERR_USAGE. */
export async function prepareTorch(options: TorchOptions, context: StageContext): Promise<Extractors> {
  const python = await findPython(options.python, TORCH_LIBRARIES, 'the PyTorch detector is run');
  const seen = await listTorchDevices(python);
  if (typeof seen === 'string') {
    throw new LxmertDataError('ERR_LIBRARY', {
      what: 'PyTorch does not load in this Python',
      where: python,
      got: seen,
      hint: 'install PyTorch again there, or name another Python with --python',
    });
  }
  const devices = chooseTorchDevices(options.device ?? 'auto', seen);
  const processes = devices.length === 1 ? 'one process' : `${devices.length} processes`;
  context.emit({
    event: 'note',
    message: `PyTorch ${seen.torch} of ${python}; ${processes} on ${devices.join(', ')}`,
  });
  return startTorchExtractors(python, devices, options);
}

/** One process for each of `devices`. Images are checked here first, by the rule of all backends. */
export function startTorchExtractors(
  python: string,
  devices: readonly string[],
  { weights, rois, batch, threads }: TorchOptions,
): Extractors {
  const settings = Object.entries({ weights, rois, batch, threads });
  const args = settings.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const checker = startImageChecker();
  return {
    start: devices.map(
      device => onEvent =>
        startExtractorProcess(
          python,
          [PYTHON_PROGRAM, '--detector', `--device=${device}`, ...args],
          onEvent,
          {
            ...pythonEnvironment(),
            // Lines of JSON and paths, whatever the locale is.
            PYTHONUTF8: '1',
          },
        ),
    ),
    checkImage: async path => await checker.check(path),
    close: async () => await checker.close(),
  };
}
