import { execFile } from 'node:child_process';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LxmertDataError } from '../errors.ts';
import { v } from '../schema.ts';

export interface PythonLibrary {
  readonly module: string;
  /** As pip installs it. */
  readonly requirement: string;
}

/** Runs the Python package that this program brings along, which need not be installed, and nothing from the current folder. */
export const PYTHON_PROGRAM = fileURLToPath(
  new URL('../../reader/src/lxmert_data/export/isolated.py', import.meta.url),
);
const OLDEST_PYTHON = [3, 9] as const;
const NAMES = ['python3', 'python'];

/**
 * The environment for Python: an empty entry of PYTHONPATH, which means the current folder, is left out, and nothing is
 * written beside the program, which may be installed where nobody may write.
 */
export function pythonEnvironment(): NodeJS.ProcessEnv {
  const { PYTHONPATH: given = '', ...env } = process.env;
  const path = given.split(delimiter).filter(folder => folder !== '');
  return {
    ...env,
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONSAFEPATH: '1',
    ...(path.length === 0 ? {} : { PYTHONPATH: path.join(delimiter) }),
  };
}

/**
 * Command of a Python that has these libraries: `given`, or else python3 or python. Nothing is installed; where something
 * is missing, ERR_LIBRARY gives the command that installs it. `purpose` begins messages: `npy is written`.
 */
export async function findPython(
  given: string | undefined,
  libraries: readonly PythonLibrary[],
  purpose: string,
): Promise<string> {
  const names = given === undefined ? NAMES : [given];
  const seen: string[] = [];
  for (const name of names) {
    const probe = await probePython(
      name,
      libraries.map(({ module }) => module),
    );
    if (typeof probe === 'string') seen.push(`${name}: ${probe}`);
    else if (isOlder(probe.version)) seen.push(`${name}: Python ${probe.version.join('.')}`);
    else {
      checkLibraries(
        name,
        libraries.filter(({ module }) => probe.missing.includes(module)),
        purpose,
      );
      return name;
    }
  }
  throw new LxmertDataError('ERR_LIBRARY', {
    what: `${purpose} by Python, which was not found`,
    expected: `Python ${OLDEST_PYTHON.join('.')} or newer`,
    got: seen.join('; '),
    hint: 'install Python 3, or name one with --python',
  });
}

function checkLibraries(python: string, missing: readonly PythonLibrary[], purpose: string): void {
  if (missing.length === 0) return;
  const requirements = missing.map(({ requirement }) => `"${requirement}"`).join(' ');
  throw new LxmertDataError('ERR_LIBRARY', {
    what: `${purpose} with ${missing.map(({ module }) => module).join(' and ')}, which this Python does not have`,
    where: python,
    hint: `install it: ${python} -m pip install ${requirements} (or name a Python that has it with --python)`,
  });
}

const PROBE = v.object({ version: v.tuple([v.number(), v.number()]), missing: v.array(v.string()) });
type Probe = v.InferOutput<typeof PROBE>;

/** Version and missing modules of a Python, or why it does not run. */
export async function probePython(
  name: string,
  modules: readonly string[],
  timeoutMs?: number,
): Promise<Probe | string> {
  const answer = await askPython(name, ['--probe', ...modules], timeoutMs);
  if ('reason' in answer) return answer.isMissing ? 'not found' : answer.reason;
  return parseProbe(answer.stdout) ?? 'does not answer as a Python does';
}

/** What the program that comes along prints when a Python runs it, or why it does not, in one line. */
export async function askPython(
  name: string,
  args: readonly string[],
  timeoutMs = 0,
): Promise<{ readonly stdout: string } | { readonly reason: string; readonly isMissing: boolean }> {
  const options = { env: pythonEnvironment(), timeout: timeoutMs };
  return await new Promise(resolve => {
    execFile(name, [PYTHON_PROGRAM, ...args], options, (error, stdout, stderr) => {
      if (error === null) {
        resolve({ stdout });
        return;
      }
      const lastLine = stderr.trim().split('\n').at(-1) ?? '';
      const printed = lastLine === '' ? error.message.replace(/\n.*/s, '') : lastLine;
      const reason = error.killed === true ? `no answer within ${timeoutMs / 1000} s` : printed;
      resolve({ reason, isMissing: error.code === 'ENOENT' });
    });
  });
}

function parseProbe(text: string): Probe | undefined {
  try {
    return v.parse(PROBE, JSON.parse(text));
  } catch {
    return undefined;
  }
}

function isOlder([major, minor]: Probe['version']): boolean {
  const [oldestMajor, oldestMinor] = OLDEST_PYTHON;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
