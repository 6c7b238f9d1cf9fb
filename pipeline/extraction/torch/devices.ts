import { existsSync } from 'node:fs';
import { LxmertDataError } from '../../errors.ts';
import { askPython } from '../../python/find-python.ts';
import { v } from '../../schema.ts';

const DEVICES = v.object({ torch: v.string(), cuda: v.array(v.string()), mps: v.boolean() });

/** What PyTorch sees on this machine: names of its CUDA devices by number, and whether there is an Apple GPU. */
export type TorchDevices = v.InferOutput<typeof DEVICES>;

/** Importing PyTorch from a cold disk takes most of a minute. */
const TIMEOUT_MS = 120_000;

/** The devices that a Python's PyTorch sees, or why it cannot say. */
export async function listTorchDevices(
  python: string,
  timeoutMs = TIMEOUT_MS,
): Promise<TorchDevices | string> {
  const answer = await askPython(python, ['--devices'], timeoutMs);
  if ('reason' in answer) return answer.reason;
  return parseDevices(answer.stdout) ?? 'its PyTorch does not list devices';
}

function parseDevices(text: string): TorchDevices | undefined {
  try {
    return v.parse(DEVICES, JSON.parse(text.trim().split('\n').at(-1) ?? ''));
  } catch {
    return undefined;
  }
}

/** Whether this machine has a GPU that PyTorch could use; asking PyTorch itself takes seconds. */
export function mayHaveGpu(): boolean {
  return (
    existsSync('/proc/driver/nvidia/version') || (process.platform === 'darwin' && process.arch === 'arm64')
  );
}

/**
 * One device for each process: `auto` is every CUDA device, or Apple's GPU, or the CPU; `cuda` every CUDA device;
 * `cuda:0,1` these; `cpu` and `mps` as they are.
 *
 * @throws LxmertDataError ERR_USAGE for other text, ERR_DEVICE for a device that is not there.
 */
export function chooseTorchDevices(wanted: string, seen: TorchDevices): readonly string[] {
  const all = seen.cuda.map((_, index) => `cuda:${index}`);
  const others = seen.mps ? ['mps', 'cpu'] : ['cpu'];
  if (wanted === 'auto') return all.length > 0 ? all : others.slice(0, 1);
  const chosen = wanted === 'cuda' ? all : parseDeviceNames(wanted);
  if (chosen.length > 0 && chosen.every(device => [...all, ...others].includes(device))) return chosen;
  const named = seen.cuda.map((name, index) => `cuda:${index} (${name})`);
  throw new LxmertDataError('ERR_DEVICE', {
    what: `PyTorch ${seen.torch} does not see the device "${wanted}"`,
    got: [...named, ...others].join(', '),
    hint: 'take one of these with --device; for CUDA, PyTorch must be built for it and nvidia-smi must work',
  });
}

function parseDeviceNames(wanted: string): readonly string[] {
  if (wanted === 'cpu' || wanted === 'mps') return [wanted];
  const numbers = /^cuda:(\d+(?:,\d+)*)$/.exec(wanted)?.[1]?.split(',').map(Number);
  if (numbers === undefined || new Set(numbers).size < numbers.length) throw notUnderstood(wanted);
  return numbers.map(number => `cuda:${number}`);
}

function notUnderstood(wanted: string): LxmertDataError {
  return new LxmertDataError('ERR_USAGE', {
    what: '--device is not understood',
    expected: 'auto, cpu, mps, cuda, or numbers such as cuda:0,1',
    got: wanted,
  });
}
