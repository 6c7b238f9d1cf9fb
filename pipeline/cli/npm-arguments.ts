import { LxmertDataError } from '../errors.ts';
import { type ArgumentSpec, type CommandSpec, COMMON_OPTIONS, type OptionSpec } from './spec.ts';

/*
 * `npm run X --split a` does not hand `--split a` to the script: npm takes the option for its own, passes `a` as a plain word and sets
 * npm_config_split=true (`--split=a` sets npm_config_split=a). These functions put the command line together again.
 */

export interface NpmCall {
  /** Words behind the command's name, as the script got them. */
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names of environment variables in the order npm set them, where it is known: that of the command line. */
  readonly order?: readonly string[];
}

/** The words of the command line as the user meant it. Outside of npm scripts they are those of `call`. */
export function restoreNpmArguments(command: CommandSpec, call: NpmCall): readonly string[] {
  const runsScript = ['run', 'run-script', 'start'].includes(call.env['npm_command'] ?? '');
  if (!runsScript || call.env['npm_lifecycle_event'] !== command.name) return call.words;
  const given = new Set(
    call.words.filter(word => word.startsWith('--')).map(word => word.slice(2).split('=')[0]!),
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
  if (valueless.length === 0) return [...restored, ...call.words];
  return [...restored, ...giveValues(command, valueless, call)];
}

/** What npm 11 makes of names that are short for others: `--to` is its --token-description, and each letter of `--png` a switch. */
const NPM_NAMES: Readonly<Record<string, string>> = { to: 'token_description', png: 'parseable' };

function npmVariable(name: string): string {
  return `npm_config_${NPM_NAMES[name] ?? name.replaceAll('-', '_')}`;
}

function npmValue(name: string, env: NpmCall['env']): string | undefined {
  // npm knows --quiet and --silent as log levels.
  if (name === 'quiet')
    return ['silent', 'warn'].includes(env['npm_config_loglevel'] ?? '') ? 'true' : undefined;
  // -p alone is no --png, which is -p -n -g; its value is a plain word even behind =.
  if (name === 'png' && env['npm_config_global'] !== 'true') return undefined;
  const value = env[npmVariable(name)];
  return value === '' ? undefined : value;
}

function orderOptions(options: readonly OptionSpec[], { order }: NpmCall): readonly OptionSpec[] {
  if (order === undefined) return options;
  const place = (option: OptionSpec): number => order.indexOf(npmVariable(option.name));
  return [...options].sort((a, b) => place(a) - place(b));
}

/** Finds the one way to give each option one of the plain words so that every word is where it can be. */
function giveValues(command: CommandSpec, options: readonly OptionSpec[], call: NpmCall): readonly string[] {
  const words = call.words.filter(word => !word.startsWith('--'));
  const switches = call.words.filter(word => word.startsWith('--'));
  const ways: string[][] = [];
  const orders = call.order === undefined ? permutations(options) : [options];
  for (const ordered of orders) {
    for (const chosen of combinations(words.length, ordered.length)) {
      const rest = words.filter((_, index) => !chosen.includes(index));
      const fits = ordered.every((option, index) => canBeValue(option, words[chosen[index]!]!));
      if (!fits || !canBeArguments(command.argument, rest)) continue;
      ways.push([
        ...ordered.map((option, index) => `--${option.name}=${words[chosen[index]!]!}`),
        ...switches,
        ...rest,
      ]);
    }
  }
  const distinct = new Map(ways.map(way => [[...way].sort().join('\0'), way]));
  if (distinct.size === 1) return [...distinct.values()][0]!;
  const example = options.map(option => `--${option.name} ${option.value!}`).join(' ');
  throw new LxmertDataError('ERR_USAGE', {
    what: `npm keeps the values of ${options.map(option => `--${option.name}`).join(', ')} apart from them, and they cannot be told from other words`,
    got: words.length === 0 ? 'no words' : words.join(' '),
    hint: `put -- before the options: npm run ${command.name} -- ${example}`,
  });
}

function canBeValue(option: OptionSpec, word: string): boolean {
  if (option.choices !== undefined) return option.choices.includes(word);
  if (option.integer === true) return /^[0-9]+$/.test(word);
  return option.looksLike?.test(word) ?? true;
}

function canBeArguments(argument: ArgumentSpec | undefined, words: readonly string[]): boolean {
  if (argument === undefined) return words.length === 0;
  if (words.length === 0) return !argument.required;
  return (argument.many || words.length === 1) && words.every(word => argument.looksLike?.test(word) ?? true);
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
