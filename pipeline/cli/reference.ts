import { longest } from '../show-text.ts';
import { COMMANDS } from './registry.ts';
import { type ArgumentSpec, type CommandSpec, COMMON_OPTIONS, type OptionSpec } from './spec.ts';

/** docs/cli.md: every command with its arguments, options and examples, as the specs have them. */
export async function renderCliReference(): Promise<string> {
  const commands = await Promise.all(COMMANDS.map(async ({ load }) => await load()));
  return [INTRODUCTION, optionTable(COMMON_OPTIONS) + EXIT_CODES, ...commands.map(renderCommand)].join('\n');
}

const INTRODUCTION = `# Command line

Each command is \`npm run COMMAND -- ARGUMENTS\` in a clone, or \`lxmert-data COMMAND ARGUMENTS\` where the package is
installed. This page is generated from the command specs by \`node scripts/cli-reference.ts\`.

npm takes options for its own unless \`--\` stands before them. With npm 10 and 11, \`npm run convert x.tsv --dtype f16\`
works without it, with a warning of npm's; npm 12 refuses options that it does not know, so write the \`--\`.

Options of every command:
`;

const EXIT_CODES = `
| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed, or problems were found |
| 2 | wrong arguments |
| 130 | interrupted; nothing unfinished has a final name, run the same command again |
`;

function renderCommand(command: CommandSpec): string {
  const { name, description, argument, options, examples } = command;
  const usage = [name, ...(argument === undefined ? [] : [usageOf(argument)]), '[options]'].join(' ');
  const lines = [`## ${name}`, '', wrap(description), '', `\`lxmert-data ${usage}\``, ''];
  if (argument !== undefined) lines.push(`\`${argument.name}\`: ${argument.description}`, '');
  lines.push(optionTable(options));
  const width = longest(examples.map(([line]) => line));
  const listed = examples.map(([line, meaning]) => `${line.padEnd(width)}   # ${meaning}`);
  lines.push('```', ...listed, '```', '');
  return lines.join('\n');
}

function usageOf({ name, required, many }: ArgumentSpec): string {
  const text = `${name}${many ? '...' : ''}`;
  return required ? `<${text}>` : `[${text}]`;
}

function optionTable(options: readonly OptionSpec[]): string {
  const rows = options.map(({ name, short, value, description, choices }) => {
    const title = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    const listed = choices === undefined ? '' : ` (${choices.join(', ')})`;
    return `| \`${title}\` | ${`${description}${listed}`.replaceAll('|', '\\|')} |`;
  });
  return ['| option | meaning |', '| --- | --- |', ...rows, ''].join('\n');
}

const LINE_CHARS = 120;

function wrap(text: string): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + 1 > LINE_CHARS) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}
