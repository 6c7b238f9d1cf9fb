import type { StageContext } from '../events.ts';
import type { Reporter } from './reporter.ts';

/** One option of a command. Its name on the command line, for npm and in the program is the same. */
export interface OptionSpec {
  readonly name: string;
  /** One letter that stands for the name. */
  readonly short?: string;
  /** Placeholder of its value, such as `FILE`; without one the option is a switch. */
  readonly value?: string;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly integer?: boolean;
  /** Whether an argument can be its value; npm passes values on apart from their options. */
  readonly looksLike?: RegExp;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly many: boolean;
  /** Words that can stand here, where they are known; for completion. */
  readonly words?: readonly string[];
  readonly looksLike?: RegExp;
}

export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

/** What a command gets besides its arguments and options: the data root, and where to report. */
export interface CommandContext
  extends StageContext, Pick<Reporter, 'print' | 'fault' | 'finish' | 'show' | 'error'> {
  /** Root of the data, laid out as LXMERT's README shows. */
  readonly data: string;
  /** A text with its commands as this user must type them, for what is not printed; see typed-commands.ts. */
  readonly asTyped: (text: string) => string;
}

export interface CommandSpec {
  readonly name: string;
  readonly description: string;
  readonly argument?: ArgumentSpec;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** Does the work; false means problems were found (exit code 1). */
  readonly run: (args: readonly string[], options: OptionValues, context: CommandContext) => Promise<boolean>;
  /** Exit code of a failure, where it has one of its own. */
  readonly exitCodeOf?: (
    error: unknown,
    options: OptionValues,
    wasInterrupted: boolean,
  ) => number | undefined;
}

/** Options that every command has. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'data',
    short: 'd',
    value: 'DIR',
    description: 'root of the data (default: LXMERT_DATA of the environment, or ./data)',
    looksLike: /^[^.]*$|^\.{1,2}(\/|$)|\/$/,
  },
  { name: 'json', description: 'one JSON event a line on standard output' },
  {
    name: 'quiet',
    short: 'q',
    description: 'no progress and no summary; problems, warnings and errors are still shown',
  },
];

export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

export function integerOption(options: OptionValues, name: string): number | undefined {
  const value = textOption(options, name);
  return value === undefined ? undefined : Number(value);
}

/** Of commands that read zips. */
export const MEMBER_OPTION: OptionSpec = {
  name: 'member',
  value: 'NAME',
  description: 'TSV inside a zip that holds several',
  looksLike: /\.tsv$/,
};

/** Of commands that hold files to the number of rows of the published file of that name. */
export const SUBSET_OPTION: OptionSpec = {
  name: 'subset',
  description: 'allow a file with a published name to have only some of its rows',
};

/** Of commands that read the manifest. */
export const MANIFEST_OPTION: OptionSpec = {
  name: 'manifest',
  value: 'FILE,…',
  description: 'your own mirrors, datasets and files',
  looksLike: /\.json$/,
};

/** The user's own manifest files. */
export function manifestFiles(options: OptionValues): readonly string[] {
  return (textOption(options, 'manifest') ?? '').split(',').filter(path => path !== '');
}

/** Of commands that decode rows. */
export const DECODING_THREADS_OPTION: OptionSpec = {
  name: 'threads',
  value: 'N',
  description: 'decoding threads (default: all cores but one, at most 4)',
  integer: true,
};
