import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LxmertDataError } from '../errors.ts';
import { PYTHON_PROGRAM, pythonEnvironment } from '../python/find-python.ts';
import { parsePythonEvent, type PythonEvent, toError } from './python-events.ts';

/** End of standard error that is kept for the message of a Python that ends unexpectedly. */
const KEPT_CHARACTERS = 4000;

export type PythonResult = PythonEvent & { readonly event: 'result' };

/**
 * Runs the exporter of the Python package to its end and returns its result. An abort lets it clean up first.
 * Throws what it reports as an error, and ERR_LIBRARY where it ends without a result.
 */
export async function runPythonExport(
  python: string,
  args: readonly string[],
  signal: AbortSignal,
  onEvent: (event: PythonEvent) => void,
): Promise<PythonResult> {
  const child = spawn(python, [PYTHON_PROGRAM, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: pythonEnvironment(),
  });
  const stop = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  let tail = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (tail = (tail + text).slice(-KEPT_CHARACTERS)));
  const outcome = new Outcome(python, onEvent);
  createInterface({ input: child.stdout }).on('line', line => outcome.take(line));
  try {
    const ending = await waitForEnd(child);
    return outcome.finish(signal, ending, tail.trim());
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** How the process ended. */
async function waitForEnd(child: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code ?? '?'}`));
  });
}

/** What the lines of the exporter came to. */
class Outcome {
  readonly #python: string;
  readonly #onEvent: (event: PythonEvent) => void;
  #result: PythonResult | undefined;
  #failure: LxmertDataError | undefined;

  constructor(python: string, onEvent: (event: PythonEvent) => void) {
    this.#python = python;
    this.#onEvent = onEvent;
  }

  take(line: string): void {
    try {
      const event = parsePythonEvent(line, this.#python);
      if (event.event === 'result') this.#result = event;
      else if (event.event === 'error') this.#failure ??= toError(event);
      this.#onEvent(event);
    } catch (error) {
      if (!(error instanceof LxmertDataError)) throw error;
      this.#failure ??= error;
    }
  }

  finish(signal: AbortSignal, ending: string, tail: string): PythonResult {
    // An export that has its name is done, whatever came in its last moment.
    if (this.#result !== undefined) return this.#result;
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    throw new LxmertDataError('ERR_LIBRARY', {
      what: `the export ended early (${ending})`,
      where: this.#python,
      got: tail === '' ? undefined : tail,
    });
  }
}
