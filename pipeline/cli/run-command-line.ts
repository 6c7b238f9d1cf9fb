import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CommandSpec, type OptionValues, textOption } from './spec.ts';
import { COMMANDS } from './registry.ts';
import { restoreNpmArguments } from './npm-arguments.ts';
import { type ParsedCommand, parseCommandLine, UsageExit } from './parse.ts';
import { createReporter, type ReportMode } from './reporter.ts';
import { nameCommandsAsTyped } from './typed-commands.ts';
import { LxmertDataError } from '../errors.ts';

const EXIT = { done: 0, problems: 1, usage: 2, interrupted: 130 } as const;

/** Ctrl-C reaches us from the terminal and again from npm, which passes it on: within this time it is one signal. */
const ONE_SIGNAL_MS = 1000;

/** npm scripts work on the data of the clone, wherever they are called. */
const DATA_OF_CLONE = fileURLToPath(new URL('../../data', import.meta.url));

/** Runs the command that these arguments name and returns its exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  listenToSignals(abort);
  surviveClosedPipes();
  const byNpm = process.env['npm_lifecycle_event'] !== undefined;
  const streams = { out: process.stdout, err: process.stderr };
  let reporter = createReporter({
    mode: argv.includes('--json') ? 'json' : 'human',
    ...streams,
    calling: { byNpm },
  });
  let called: ParsedCommand | undefined;
  try {
    if (byNpm) goWhereNpmWasCalled();
    called = await readCommandLine(argv);
    const { command, args, options } = called;
    const calling = { byNpm, data: textOption(options, 'data') };
    reporter = createReporter({ mode: modeOf(options), ...streams, calling, command: command.name });
    const data = calling.data ?? dataOfEnvironment() ?? (byNpm ? DATA_OF_CLONE : 'data');
    const { emit, print, fault, finish, show, error } = reporter;
    const asTyped = (text: string): string => nameCommandsAsTyped(text, calling);
    const context = { emit, print, fault, finish, show, error, data, asTyped, signal: abort.signal };
    const ok = await command.run(args, options, context);
    reporter.end();
    return ok ? EXIT.done : EXIT.problems;
  } catch (error) {
    if (error instanceof UsageExit) return error.exitCode;
    reporter.end();
    const { aborted } = abort.signal;
    reporter.fail(aborted ? abort.signal.reason : error);
    return exitCodeOf(error, called, aborted);
  }
}

function goWhereNpmWasCalled(): void {
  const folder = process.env['INIT_CWD'];
  if (folder !== undefined) process.chdir(folder);
}

/** LXMERT_DATA, so that --data need not be given each time. */
function dataOfEnvironment(): string | undefined {
  const data = process.env['LXMERT_DATA'] ?? '';
  return data === '' ? undefined : data;
}

function modeOf(options: OptionValues): ReportMode {
  if (options['json'] === true) return 'json';
  return options['quiet'] === true ? 'quiet' : 'human';
}

function exitCodeOf(error: unknown, called: ParsedCommand | undefined, wasInterrupted: boolean): number {
  const own = called?.command.exitCodeOf?.(error, called.options, wasInterrupted);
  if (own !== undefined) return own;
  if (wasInterrupted) return EXIT.interrupted;
  return error instanceof LxmertDataError && error.code === 'ERR_USAGE' ? EXIT.usage : EXIT.problems;
}

/** The reader may close a stream early, as `| head` does; the work goes on and the exit code says how it ended. */
function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

/** The first signal lets the work clean up behind itself, the next one ends it at once. */
function listenToSignals(abort: AbortController): void {
  let first = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) {
        if (performance.now() - first > ONE_SIGNAL_MS) process.exit(EXIT.interrupted);
        return;
      }
      first = performance.now();
      const hint = 'run the same command again';
      abort.abort(
        new LxmertDataError('ERR_INTERRUPTED', {
          what: `interrupted by ${signal}; nothing unfinished has a final name`,
          hint,
        }),
      );
    });
  }
}

/** Only the command that is called is loaded. */
async function readCommandLine(argv: readonly string[]): Promise<ParsedCommand> {
  const called = await COMMANDS.find(({ name }) => name === argv[0])?.load();
  return parseCommandLine(COMMANDS, called, called === undefined ? argv : restoreArgs(called, argv));
}

function restoreArgs(command: CommandSpec, argv: readonly string[]): readonly string[] {
  const order = readEnvironmentOrder();
  const call = { args: argv.slice(1), env: process.env, ...(order === undefined ? {} : { order }) };
  return [command.name, ...restoreNpmArguments(command, call)];
}

/** The shell between npm and this process reorders the environment; that of the shell itself, on Linux, still shows npm's order. */
function readEnvironmentOrder(): readonly string[] | undefined {
  const path = `/proc/${process.ppid}/environ`;
  if (!existsSync(path)) return undefined;
  try {
    const names = readFileSync(path, 'latin1')
      .split('\0')
      .map(entry => entry.replace(/=.*/s, ''));
    return names.some(name => name.startsWith('npm_config_')) ? names : undefined;
  } catch {
    return undefined;
  }
}
