import { access, constants, stat } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { errorText, LxmertDataError } from '../errors.ts';
import { findPython, probePython } from '../python/find-python.ts';
import { findApptainer } from '../extraction/apptainer/program.ts';
import { Engine } from '../extraction/docker/engine.ts';
import { listTorchDevices } from '../extraction/torch/devices.ts';
import { findEngineAddress } from '../extraction/docker/engine-address.ts';
import { findFreeBytes } from '../fetch/disk-space.ts';
import { formatBytes } from '../files/format-bytes.ts';
import type { Manifest, Mirror } from '../manifest/load.ts';
import { homeOf } from '../mirrors/registry.ts';
import { createHttpClient, type HttpClient } from '../net/client.ts';

export interface Finding {
  /** What was looked at, such as `python` or `mirror unc`. */
  readonly check: string;
  /** `missing` is something that some commands need; `failed` something that every command needs. */
  readonly state: 'ok' | 'missing' | 'failed';
  readonly found: string;
  /** What to do, and for what it is needed. */
  readonly hint?: string | undefined;
}

export interface ExamineOptions {
  readonly dataRoot: string;
  /** The file of trained weights that extract would take. */
  readonly weights: string;
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
}

/** Nothing may hold the whole examination up. */
const PATIENCE_MS = 3000;
/** Below this, not even one split of features fits. */
const LITTLE_DISK_BYTES = 20e9;

/** Looks at what the commands need on this machine, everything at once; takes a few seconds at most. */
export async function examineMachine(options: ExamineOptions): Promise<readonly Finding[]> {
  const groups = await Promise.all([
    examineDisk(options.dataRoot),
    examinePython(),
    examineDocker(),
    examineApptainer(),
    examineWeights(options.weights),
    examineNetwork(options.manifest, options.signal),
  ]);
  return [examineNode(), ...groups.flat()];
}

function examineNode(): Finding {
  const memory = formatBytes(totalmem());
  const found = `${process.version} on ${process.platform} ${process.arch}, ${availableParallelism()} cores, ${memory} of memory`;
  return { check: 'node', state: 'ok', found };
}

async function examineDisk(dataRoot: string): Promise<Finding[]> {
  const folder = await existingFolder(resolve(dataRoot));
  const check = 'disk';
  const isWritable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  const free = await findFreeBytes(dataRoot);
  const found = `${dataRoot}: ${free === null ? 'free space unknown' : `${formatBytes(free)} free`}`;
  if (!isWritable)
    return [
      {
        check,
        state: 'failed',
        found: `${folder} cannot be written`,
        hint: 'name another folder with --data',
      },
    ];
  if (free !== null && free < LITTLE_DISK_BYTES)
    return [
      {
        check,
        state: 'missing',
        found,
        hint: 'one split of features takes 2 to 25 GB, twice that while it is converted; name another disk with --data',
      },
    ];
  return [{ check, state: 'ok', found }];
}

async function existingFolder(folder: string): Promise<string> {
  const exists = await stat(folder).then(
    found => found.isDirectory(),
    () => false,
  );
  return exists || folder === dirname(folder) ? folder : await existingFolder(dirname(folder));
}

async function examinePython(): Promise<Finding[]> {
  const python = await findPython(undefined, [], 'export').catch((error: unknown) => error);
  if (typeof python !== 'string') {
    const hint = 'install Python 3.9 or newer: export to other formats needs it';
    const found = python instanceof LxmertDataError ? (python.parts.got ?? 'not found') : errorText(python);
    return [{ check: 'python', state: 'missing', found, hint }];
  }
  const probe = await probePython(python, ['numpy', 'torch'], PATIENCE_MS);
  if (typeof probe === 'string') return [{ check: 'python', state: 'ok', found: `${python}; ${probe}` }];
  const installed = ['numpy', 'torch'].filter(name => !probe.missing.includes(name));
  const names = installed.length === 0 ? 'without NumPy and PyTorch' : `with ${installed.join(' and ')}`;
  const hint = `to export and to train: ${python} -m pip install numpy torch`;
  const found = `${python} ${names}`;
  const state = installed.includes('numpy') ? 'ok' : 'missing';
  const finding: Finding = { check: 'python', state, found, ...(state === 'ok' ? {} : { hint }) };
  return installed.includes('torch') ? [finding, await examineTorch(python)] : [finding];
}

async function examineTorch(python: string): Promise<Finding> {
  const check = 'pytorch gpu';
  const hint = 'extraction runs on the CPU, at seconds an image';
  const seen = await listTorchDevices(python, PATIENCE_MS);
  if (typeof seen === 'string') return { check, state: 'missing', found: seen, hint };
  const gpus = seen.mps ? [...seen.cuda, "Apple's GPU"] : seen.cuda;
  return gpus.length === 0
    ? { check, state: 'missing', found: 'no GPU seen', hint }
    : { check, state: 'ok', found: gpus.join(', ') };
}

async function examineDocker(): Promise<Finding[]> {
  const check = 'docker';
  const address = attempt(() => findEngineAddress());
  if (address instanceof Error)
    return [
      { check, state: 'missing', found: errorText(address), hint: 'correct DOCKER_HOST or DOCKER_CONTEXT' },
    ];
  const facts = await withPatience(new Engine(address).readFacts()).catch(oneLine);
  if (facts === undefined || typeof facts === 'string') {
    const found = facts ?? `${address.label} does not answer`;
    return [
      {
        check,
        state: 'missing',
        found,
        hint: 'needed for --backend docker only; the embedded backend needs no engine',
      },
    ];
  }
  const { version, runtimes, memoryBytes } = facts;
  const gpus = runtimes.includes('nvidia') ? 'with the NVIDIA runtime' : 'without the NVIDIA runtime';
  return [
    {
      check,
      state: 'ok',
      found: `${version} at ${address.label}, ${gpus}, ${formatBytes(memoryBytes)} of memory`,
    },
  ];
}

async function examineApptainer(): Promise<Finding[]> {
  const check = 'apptainer';
  const found = await withPatience(findApptainer('apptainer')).catch(oneLine);
  if (typeof found === 'object') return [{ check, state: 'ok', found: found.version }];
  const hint = 'needed for --backend apptainer only, which runs containers where there is no Docker';
  return [{ check, state: 'missing', found: found ?? 'neither apptainer nor singularity is in PATH', hint }];
}

async function examineWeights(path: string): Promise<Finding[]> {
  const size = await stat(path).then(
    found => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
  if (size !== undefined) return [{ check: 'weights', state: 'ok', found: `${path}, ${formatBytes(size)}` }];
  const hint =
    'fetch them before extract: lxmert-data fetch detector; --weights untrained tries every step without them';
  return [{ check: 'weights', state: 'missing', found: `${path} does not exist`, hint }];
}

async function examineNetwork(manifest: Manifest, signal: AbortSignal): Promise<Finding[]> {
  const client = createHttpClient({ connectMs: PATIENCE_MS, responseMs: PATIENCE_MS });
  try {
    const living = Object.entries(manifest.mirrors).filter(([, mirror]) => mirror.dead === undefined);
    const asked = living.map(async ([name, mirror]) => await examineMirror(name, mirror, client, signal));
    const findings = await Promise.all(asked);
    if (findings.length > 0 && findings.every(({ state }) => state !== 'ok')) {
      const hint = 'connect it, or set HTTPS_PROXY; fetch --from DIR takes files that you have already';
      return [
        { check: 'network', state: 'missing', found: 'no network: none of the mirrors can be reached', hint },
      ];
    }
    return findings;
  } finally {
    client.close();
  }
}

async function examineMirror(
  name: string,
  mirror: Mirror,
  client: HttpClient,
  signal: AbortSignal,
): Promise<Finding> {
  const check = `mirror ${name}`;
  const url = homeOf(mirror);
  if (url === undefined)
    return {
      check,
      state: 'missing',
      found: 'it has no address',
      hint: 'add "base" to its entry in the manifest',
    };
  const { host } = new URL(url);
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    const response = await client.request({
      url,
      signal: bounded,
      followRedirects: false,
      allowHttp: mirror.allow_http,
    });
    response.body.destroy();
    const isUp = response.status < 500;
    const found = `${host} answers with status ${response.status}`;
    return isUp
      ? { check, state: 'ok', found }
      : { check, state: 'missing', found, hint: 'fetch takes the next mirror' };
  } catch (error) {
    return {
      check,
      state: 'missing',
      found: `${host}: ${oneLine(error)}`,
      hint: 'fetch takes the next mirror',
    };
  }
}

function attempt<Value>(work: () => Value): Value | Error {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function withPatience<Value>(work: Promise<Value>): Promise<Value | undefined> {
  const { promise, resolve: giveUp } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => giveUp(undefined), PATIENCE_MS);
  return await Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

function oneLine(error: unknown): string {
  return errorText(error).replaceAll(/\s*\n\s*/g, '; ');
}
