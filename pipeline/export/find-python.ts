import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { LxmertDataError } from '../errors.ts';
import type { PythonLibrary } from './formats.ts';

/** The Python package that this program brings along; it need not be installed. */
const READER = fileURLToPath(new URL('../../reader/src', import.meta.url));
const OLDEST_PYTHON = [3, 9] as const;
const NAMES = ['python3', 'python'];

const PROBE = `
import importlib.util, json, sys
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(json.dumps({"version": sys.version_info[:2], "missing": missing}))
`;

/** The environment in which Python finds the package of this program, before any other of that name. */
export function pythonEnvironment(): NodeJS.ProcessEnv {
  const path = [READER, process.env['PYTHONPATH']].filter(part => part !== undefined && part !== '');
  const separator = process.platform === 'win32' ? ';' : ':';
  // This program may be installed where nobody may write.
  return { ...process.env, PYTHONPATH: path.join(separator), PYTHONDONTWRITEBYTECODE: '1' };
}

/**
 * Command of a Python that has these libraries: `given`, or else python3 or python. Nothing is installed;
 * where something is missing, ERR_LIBRARY says with which command it comes.
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
    what: `${purpose} is written by Python, which is not to be had`,
    expected: `Python ${OLDEST_PYTHON.join('.')} or newer`,
    got: seen.join('; '),
    hint: 'install Python 3, or name one with --python',
  });
}

function checkLibraries(python: string, missing: readonly PythonLibrary[], purpose: string): void {
  if (missing.length === 0) return;
  const requirements = missing.map(({ requirement }) => `"${requirement}"`).join(' ');
  throw new LxmertDataError('ERR_LIBRARY', {
    what: `${purpose} is written with ${missing.map(({ module }) => module).join(' and ')}, which this Python does not have`,
    where: python,
    hint: `install it: ${python} -m pip install ${requirements} (or name a Python that has it with --python)`,
  });
}

interface Probe {
  readonly version: readonly [number, number];
  readonly missing: readonly string[];
}

/** What a Python is and lacks, or why it does not run. */
async function probePython(name: string, modules: readonly string[]): Promise<Probe | string> {
  return await new Promise(resolve => {
    execFile(name, ['-c', PROBE, ...modules], { env: pythonEnvironment() }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(parseProbe(stdout) ?? 'gives no answer of a Python');
        return;
      }
      const lastLine = stderr.trim().split('\n').at(-1) ?? '';
      resolve(
        error.code === 'ENOENT' ? 'not found' : lastLine === '' ? error.message.split('\n')[0]! : lastLine,
      );
    });
  });
}

function parseProbe(text: string): Probe | undefined {
  try {
    return JSON.parse(text) as Probe;
  } catch {
    return undefined;
  }
}

function isOlder([major, minor]: Probe['version']): boolean {
  const [oldestMajor, oldestMinor] = OLDEST_PYTHON;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
