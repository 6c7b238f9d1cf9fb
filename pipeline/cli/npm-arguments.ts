import { LxmertDataError } from '../errors.ts';
import { type ArgumentSpec, type CommandSpec, COMMON_OPTIONS, type OptionSpec } from './spec.ts';

/*
 * `npm run X --split a` does not pass `--split a` on to the script: npm takes the option for its own, passes `a` as a plain
 * argument and sets npm_config_split=true (`--split=a` sets npm_config_split=a). These functions restore the command line.
 * npm 12 refuses such options; once npm 11 is no longer supported, this file can go.
 */

export interface NpmCall {
  /** Arguments after the command's name, as the script got them. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names of environment variables in the order npm set them, where it is known: that of the command line. */
  readonly order?: readonly string[];
}

/** The arguments of the command line as the user typed it. Outside of npm scripts they are those of `call`. */
export function restoreNpmArguments(command: CommandSpec, call: NpmCall): readonly string[] {
  const runsScript = ['run', 'run-script', 'start'].includes(call.env['npm_command'] ?? '');
  if (!runsScript || call.env['npm_lifecycle_event'] !== command.name) return call.args;
  const given = new Set(
    call.args.filter(arg => arg.startsWith('--')).map(arg => arg.replace(/^--|=.*$/gs, '')),
  );
  const restored: string[] = [];
  const valueless: OptionSpec[] = [];
  for (const option of orderOptions([...command.options, ...COMMON_OPTIONS], call)) {
    const value = npmValue(option.name, call.env);
    if (value === undefined || given.has(option.name)) continue;
    if (option.value === undefined) {
      if (value === 'true') restored.push(`--${option.name}`);
    } else if (value === 'true') valueless.push(option);
    else restored.push(`--${option.name}=${value}`);
  }
  if (valueless.length === 0) return [...restored, ...call.args];
  return [...restored, ...giveValues(command, valueless, call)];
}

/** What npm 11 makes of names that are short for others: `--to` is its --token-description, and each letter of `--png` a switch. */
const NPM_NAMES: Readonly<Record<string, string>> = { to: 'token_description', png: 'parseable' };

function npmVariable(name: string): string {
  return `npm_config_${NPM_NAMES[name] ?? name.replaceAll('-', '_')}`;
}

function npmValue(name: string, env: NpmCall['env']): string | undefined {
  // npm takes --quiet for its own log level. Its --silent, or -s, only silences npm.
  if (name === 'quiet') return env['npm_config_loglevel'] === 'warn' ? 'true' : undefined;
  // -p alone is no --png, which is -p -n -g; its value is a plain word even behind =.
  if (name === 'png' && env['npm_config_global'] !== 'true') return undefined;
  const value = env[npmVariable(name)];
  return value === '' ? undefined : value;
}

function orderOptions(options: readonly OptionSpec[], { order }: NpmCall): readonly OptionSpec[] {
  if (order === undefined) return options;
  const position = (option: OptionSpec): number => order.indexOf(npmVariable(option.name));
  return [...options].sort((a, b) => position(a) - position(b));
}

/** Finds the one way to give each option one of the plain arguments as its value. Fails with ERR_USAGE where there are several. */
function giveValues(command: CommandSpec, options: readonly OptionSpec[], call: NpmCall): readonly string[] {
  const plain = call.args.filter(arg => !arg.startsWith('--'));
  const switches = call.args.filter(arg => arg.startsWith('--'));
  const ways: string[][] = [];
  const orders = call.order === undefined ? permutations(options) : [options];
  for (const ordered of orders) {
    for (const chosen of combinations(plain.length, ordered.length)) {
      const rest = plain.filter((_, index) => !chosen.includes(index));
      const values = plain.filter((_, index) => chosen.includes(index));
      const fits = ordered.every((option, index) => canBeValue(option, values[index] ?? ''));
      if (!fits || !canBeArguments(command.argument, rest)) continue;
      ways.push([
        ...ordered.map((option, index) => `--${option.name}=${values[index]}`),
        ...switches,
        ...rest,
      ]);
    }
  }
  const distinct = new Map(ways.map(way => [[...way].sort().join('\0'), way]));
  const [only, ...others] = distinct.values();
  if (only !== undefined && others.length === 0) return only;
  const example = options.map(option => `--${option.name} ${option.value}`).join(' ');
  throw new LxmertDataError('ERR_USAGE', {
    what: `npm keeps the values of ${options.map(option => `--${option.name}`).join(', ')} apart from them, and it is ambiguous which argument is whose value`,
    got: plain.length === 0 ? 'no arguments' : plain.join(' '),
    hint: `put -- before the options: npm run ${command.name} -- ${example}`,
  });
}

function canBeValue(option: OptionSpec, arg: string): boolean {
  if (option.choices !== undefined) return option.choices.includes(arg);
  if (option.integer === true) return /^[0-9]+$/.test(arg);
  return option.looksLike?.test(arg) ?? true;
}

function canBeArguments(argument: ArgumentSpec | undefined, args: readonly string[]): boolean {
  if (argument === undefined) return args.length === 0;
  if (args.length === 0) return !argument.required;
  return (argument.many || args.length === 1) && args.every(arg => argument.looksLike?.test(arg) ?? true);
}

function combinations(count: number, chosen: number, from = 0): number[][] {
  if (chosen === 0) return [[]];
  const all: number[][] = [];
  for (let index = from; index < count; index++) {
    for (const rest of combinations(count, chosen - 1, index + 1)) all.push([index, ...rest]);
  }
  return all;
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map(rest => [item, ...rest]));
}
