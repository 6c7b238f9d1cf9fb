import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { ErrorParts } from '../errors.ts';
import { LxmertDataError } from '../errors.ts';
import { pythonEnvironment } from './find-python.ts';

/** What `python -m lxmert_data.export --json` tells, a line each. */
export type PythonEvent =
  | { readonly event: 'progress'; readonly done: number; readonly total: number }
  | { readonly event: 'warning'; readonly message: string }
  | ({ readonly event: 'error' } & Readonly<Record<keyof Omit<ErrorParts, 'cause'>, string | null>>)
  | {
      readonly event: 'result';
      readonly rows: number;
      readonly bytes: number;
      readonly lossless: boolean;
    };

const KEPT_WORDS = 4000;

/** Runs the export of the Python package to its end; an abort lets it clean up behind itself first. */
export async function runPythonExport(
  python: string,
  words: readonly string[],
  signal: AbortSignal,
  onEvent: (event: PythonEvent) => void,
): Promise<void> {
  const child = spawn(python, ['-m', 'lxmert_data.export', '--json', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: pythonEnvironment(),
  });
  const stop = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  let lastWords = '';
  const told = new Set<PythonEvent['event']>();
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (lastWords = (lastWords + text).slice(-KEPT_WORDS)));
  const lines = createInterface({ input: child.stdout });
  lines.on('line', line => {
    const event = JSON.parse(line) as PythonEvent;
    told.add(event.event);
    onEvent(event);
  });
  try {
    const [code, by] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (...end) => resolve(end));
    });
    // An export that has its name is done, whatever came in its last moment.
    if (told.has('result')) return;
    signal.throwIfAborted();
    if (told.has('error')) return;
    throw new LxmertDataError('ERR_LIBRARY', {
      what: `the export ended early (${by ?? `exit code ${code ?? '?'}`})`,
      where: python,
      got: lastWords.trim() === '' ? undefined : lastWords.trim(),
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
