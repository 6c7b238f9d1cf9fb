import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText, isErrno, LxmertDataError } from '../../errors.ts';
import { v } from '../../schema.ts';

const TIMEOUT_MS = 60_000;
const MAX_BYTES = 16 << 20;
/** Old scripts still start the second one, and some sites have only that. */
const PROGRAMS = ['apptainer', 'singularity'] as const;

export type ApptainerName = (typeof PROGRAMS)[number];

export interface ApptainerProgram {
  readonly program: ApptainerName;
  /** Such as `apptainer version 1.4.5`. */
  readonly version: string;
}

const run = promisify(execFile);

/** Finds a program in PATH: apptainer, else singularity, or singularity alone. Returns undefined if it is not installed. */
export async function findApptainer(wanted: ApptainerName): Promise<ApptainerProgram | undefined> {
  for (const program of PROGRAMS.slice(PROGRAMS.indexOf(wanted))) {
    const version = await readVersion(program);
    if (version !== undefined) return { program, version };
  }
  return undefined;
}

/** Like `findApptainer`, but throws ERR_ENGINE if nothing is installed. */
export async function requireApptainer(wanted: ApptainerName): Promise<ApptainerProgram> {
  const found = await findApptainer(wanted);
  if (found !== undefined) return found;
  throw new LxmertDataError('ERR_ENGINE', {
    what:
      wanted === 'apptainer' ? 'neither apptainer nor singularity is in PATH' : `${wanted} is not in PATH`,
    hint: 'load its module (module load apptainer) or ask for it to be installed; --backend torch and embedded need no container',
  });
}

async function readVersion(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(program, ['--version'], { timeout: TIMEOUT_MS });
    return stdout.trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return undefined;
    throw new LxmertDataError('ERR_ENGINE', {
      what: `${program} does not run`,
      where: `${program} --version`,
      got: lastLines(error),
      cause: error,
    });
  }
}

const inspectSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    data: v.object({ attributes: v.object({ labels: v.nullish(v.record(v.string(), v.string()), {}) }) }),
  }),
);

/** The labels of an image. Throws ERR_INPUT for what the program cannot read. */
export async function readLabels(
  { program }: ApptainerProgram,
  image: string,
): Promise<Readonly<Record<string, string>>> {
  const failure = (got: string, cause?: unknown): LxmertDataError =>
    new LxmertDataError('ERR_INPUT', {
      what: `${program} cannot read this image`,
      where: image,
      got,
      hint: `look at it with ${program} inspect ${image}; build it again if it is damaged`,
      cause,
    });
  try {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_BYTES };
    const { stdout } = await run(program, ['inspect', '--json', '--labels', image], options);
    const parsed = v.safeParse(inspectSchema, stdout);
    if (!parsed.success) throw failure('labels in a form that is not known');
    return parsed.output.data.attributes.labels;
  } catch (error) {
    throw error instanceof LxmertDataError ? error : failure(lastLines(error), error);
  }
}

/** What a program wrote last, without colours. */
function lastLines(error: unknown): string {
  const text = (error as { stderr?: unknown }).stderr;
  const stderr = typeof text === 'string' ? text.trim() : '';
  return (stderr === '' ? errorText(error) : stderr).replaceAll(/\u001B\[[\d;]*m/g, '').slice(-500);
}
