import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
}

/** End of the output of a failed step that is printed again at the end, where a long log is read first. */
const KEPT_CHARACTERS = 6000;

/** Runs the program of a package in node_modules on the Node.js that runs this. */
export function nodeTool(name: string, ...args: readonly string[]): readonly [string, ...string[]] {
  return [process.execPath, join(ROOT, 'node_modules', '.bin', name), ...args];
}

export const STATIC_STEPS: readonly Step[] = [
  { name: 'lint', command: nodeTool('eslint', '.') },
  { name: 'format', command: nodeTool('prettier', '--check', '--log-level', 'warn', '.') },
  { name: 'types', command: nodeTool('tsc', '--noEmit') },
  { name: 'types of pages', command: nodeTool('tsc', '--noEmit', '-p', 'pipeline/report/browser') },
];

/** Runs steps, all of them, and prints at the end which were skipped and which failed. */
export class StepRunner {
  readonly #failed = new Map<string, string>();
  readonly #skipped: string[] = [];

  skip(name: string, reason: string): void {
    this.#skipped.push(`${name}: ${reason}`);
  }

  /** Runs a step; beside another one, `quietly`: what it prints comes out whole when it ends. */
  async run({ name, command: [program, ...args], env }: Step, quietly = false): Promise<void> {
    const heading = `\n== ${name}\n`;
    if (!quietly) process.stdout.write(heading);
    const inTerminal = process.stdout.isTTY && !quietly;
    const output: string[] = [];
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: inTerminal ? 'inherit' : ['inherit', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    let tail = '';
    const keep = (text: string): void => {
      if (quietly) output.push(text);
      else process.stdout.write(text);
      tail = (tail + text).slice(-KEPT_CHARACTERS);
    };
    child.stdout?.setEncoding('utf8').on('data', keep);
    child.stderr?.setEncoding('utf8').on('data', keep);
    const passed = await new Promise<boolean>(resolve => {
      child.on('error', error => {
        keep(`${error.message}\n`);
        resolve(false);
      });
      child.on('close', status => resolve(status === 0));
    });
    if (quietly) process.stdout.write(`${heading}${output.join('')}`);
    if (!passed) this.#failed.set(name, inTerminal ? '' : tail);
  }

  /** Prints the summary and returns the exit code. */
  finish(): number {
    process.stdout.write('\n');
    for (const reason of this.#skipped) process.stdout.write(`skipped: ${reason}\n`);
    for (const [name, tail] of this.#failed)
      if (tail !== '') process.stdout.write(`\n== end of: ${name}\n${tail}\n`);
    const failed = [...this.#failed.keys()];
    process.stdout.write(failed.length === 0 ? 'all tests passed\n' : `FAILED: ${failed.join(', ')}\n`);
    return failed.length === 0 ? 0 : 1;
  }
}
