import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** `pipe` where the test writes to the program. */
  readonly input?: 'ignore' | 'pipe';
}

/** Starts a program and collects what it prints. */
export function startProgram(
  program: string,
  words: readonly string[],
  options: StartOptions = {},
): RunningCli {
  const child = spawn(program, words, {
    cwd: options.cwd ?? ROOT,
    env: { ...withoutNpm(process.env), NO_COLOR: '1', ...options.env },
    stdio: [options.input ?? 'ignore', 'pipe', 'pipe'],
  });
  const result = new Promise<CliResult>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, result };
}

export function startCli(words: readonly string[], options: StartOptions = {}): RunningCli {
  return startProgram(process.execPath, [join(ROOT, 'pipeline', 'cli', 'main.ts'), ...words], options);
}

export async function runCli(words: readonly string[], options: StartOptions = {}): Promise<CliResult> {
  return await startCli(words, options).result;
}

/** Tests run under npm, whose variables must not reach the program under test. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(npm_|INIT_CWD$|NODE_|AVA)/.test(name)),
  );
}
