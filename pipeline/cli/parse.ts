import { Command, CommanderError, Option } from 'commander';
import { LxmertDataError } from '../errors.ts';
import { longest, showOnTerminal } from '../show-text.ts';
import { TOOL_VERSION } from '../version.ts';
import type { CommandEntry } from './registry.ts';
import { type CommandSpec, COMMON_OPTIONS, type OptionSpec, type OptionValues } from './spec.ts';

export interface ParsedCommand {
  readonly command: CommandSpec;
  readonly args: readonly string[];
  readonly options: OptionValues;
}

/** Thrown for wrong arguments (`exitCode` 2) and after help or version were printed (0). */
export class UsageExit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('usage');
    this.exitCode = exitCode;
  }
}

/** Parses a command line; help, suggestions and messages about wrong arguments are commander's. */
export function parseCommandLine(
  entries: readonly CommandEntry[],
  called: CommandSpec | undefined,
  argv: readonly string[],
): ParsedCommand {
  let parsed: ParsedCommand | undefined;
  const asJson = argv.includes('--json');
  const program = new Command('lxmert-data')
    .description('Gets training-ready 36-box image features for LXMERT.')
    .version(TOOL_VERSION)
    .exitOverride()
    .showHelpAfterError('(--help lists the commands)')
    .configureOutput({
      writeErr: text => {
        if (!asJson) process.stderr.write(showOnTerminal(text));
      },
    });
  for (const { name, summary } of entries) {
    const sub = program.command(name).summary(summary).exitOverride();
    if (called?.name !== name) continue;
    declare(sub, called);
    sub.action(() => {
      parsed = { command: called, args: sub.args, options: dashedOptions(sub) };
    });
  }
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      const asked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
      if (!asked && asJson) throw usageError(error, called);
      throw new UsageExit(asked ? 0 : 2);
    }
    throw error;
  }
  if (parsed === undefined) throw new UsageExit(2);
  return parsed;
}

/** For programs that read --json: wrong arguments are an error like any other. */
function usageError(error: CommanderError, called: CommandSpec | undefined): LxmertDataError {
  const command = called === undefined ? 'lxmert-data' : `lxmert-data ${called.name}`;
  const [what = ''] = error.message.replace(/^error: /, '').split('\n');
  return new LxmertDataError('ERR_USAGE', { what, hint: `${command} --help lists the options` });
}

function declare(sub: Command, command: CommandSpec): void {
  sub
    .description(command.description)
    .allowExcessArguments(false)
    .showHelpAfterError(`(lxmert-data ${command.name} --help lists the options)`);
  const { argument } = command;
  if (argument !== undefined) {
    const name = `${argument.name}${argument.many ? '...' : ''}`;
    sub.argument(argument.required ? `<${name}>` : `[${name}]`, argument.description);
  }
  for (const option of [...command.options, ...COMMON_OPTIONS]) sub.addOption(createOption(option));
  const width = longest(command.examples.map(([line]) => line));
  const examples = command.examples.map(([line, meaning]) => `  ${line.padEnd(width)}  ${meaning}`);
  sub.addHelpText('after', `\nExamples:\n${examples.join('\n')}`);
}

function createOption(spec: OptionSpec): Option {
  const option = new Option(
    `${spec.short === undefined ? '' : `-${spec.short}, `}--${spec.name}${spec.value === undefined ? '' : ` <${spec.value}>`}`,
    spec.description,
  );
  if (spec.choices !== undefined) option.choices([...spec.choices]);
  if (spec.integer === true) option.argParser(parseInteger);
  return option;
}

function parseInteger(value: string): string {
  if (/^[1-9][0-9]{0,8}$/.test(value)) return value;
  throw new CommanderError(
    2,
    'commander.invalidArgument',
    `error: '${value}' is not a positive whole number`,
  );
}

/** commander names options in camel case; commands ask for them by the name on the command line. */
function dashedOptions(command: Command): OptionValues {
  const values: Record<string, string | boolean | undefined> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (typeof value === 'string' || typeof value === 'boolean') values[option.name()] = value;
  }
  return values;
}
