import type { CommandEntry } from './registry.ts';
import { type CommandSpec, COMMON_OPTIONS, type OptionSpec } from './spec.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Described {
  readonly entry: CommandEntry;
  readonly spec: CommandSpec;
}

/** A completion script for `lxmert-data`, made from the command specs: commands, options, their choices, and files. */
export async function renderCompletion(shell: Shell, entries: readonly CommandEntry[]): Promise<string> {
  const commands = await Promise.all(entries.map(async entry => ({ entry, spec: await entry.load() })));
  if (shell === 'bash') return renderBash(commands);
  if (shell === 'zsh') return renderZsh(commands);
  return renderFish(commands);
}

function optionsOf({ spec }: Described): readonly OptionSpec[] {
  return [...spec.options, ...COMMON_OPTIONS];
}

function flagsOf(option: OptionSpec): string[] {
  return [`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`])];
}

/** Words that may stand in place of the command's argument, where they are known. */
function wordsOf({ spec }: Described): readonly string[] {
  return spec.argument?.words ?? [];
}

function renderBash(commands: readonly Described[]): string {
  const cases = commands.map(command => {
    const options = optionsOf(command);
    const choices = options
      .filter(({ choices }) => choices !== undefined)
      .map(option => `        ${flagsOf(option).join('|')}) words="${(option.choices ?? []).join(' ')}" ;;`);
    return [
      `    ${command.entry.name})`,
      `      flags="${options.flatMap(flagsOf).join(' ')} --help"`,
      `      arguments="${wordsOf(command).join(' ')}"`,
      ...(choices.length === 0 ? [] : ['      case "$previous" in', ...choices, '      esac']),
      '      ;;',
    ].join('\n');
  });
  return `# Completion of lxmert-data for bash:  eval "$(lxmert-data completion bash)"
_lxmert_data() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local flags='' arguments='' words=''
  if [ "$COMP_CWORD" = 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "${commands.map(({ entry }) => entry.name).join(' ')} --help --version" -- "$current")
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ "$current" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$arguments" -- "$current"; compgen -f -- "$current")
  fi
}
complete -o filenames -F _lxmert_data lxmert-data
`;
}

function renderZsh(commands: readonly Described[]): string {
  const listed = commands.map(({ entry }) => `    ${quote(`${entry.name}:${entry.summary}`)}`).join('\n');
  const cases = commands.map(command => {
    const options = optionsOf(command).flatMap(option => {
      const value = option.value === undefined ? '' : `:${option.value}:${zshValues(option)}`;
      const text = `[${option.description.replaceAll(/[[\]:]/g, String.raw`\$&`)}]${value}`;
      return flagsOf(option).map(flag => `        ${quote(`${flag}${text}`)}`);
    });
    const words = wordsOf(command);
    const other = words.length === 0 ? '_files' : `{compadd -- ${words.join(' ')}; _files}`;
    return `      ${command.entry.name})\n        _arguments \\\n${[...options, `        ${quote(`*:${command.spec.argument?.name ?? 'file'}:${other}`)}`].join(' \\\n')}\n        ;;`;
  });
  return `#compdef lxmert-data
# Completion of lxmert-data for zsh:  source <(lxmert-data completion zsh)
_lxmert_data() {
  local -a commands
  commands=(
${listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
  else
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
${cases.join('\n')}
    esac
  fi
}
compdef _lxmert_data lxmert-data
`;
}

function zshValues(option: OptionSpec): string {
  return option.choices === undefined ? '_files' : `(${option.choices.join(' ')})`;
}

function renderFish(commands: readonly Described[]): string {
  const lines = commands.flatMap(command => {
    const { name, summary } = command.entry;
    const condition = `-n '__fish_seen_subcommand_from ${name}'`;
    const words = wordsOf(command);
    return [
      `complete -c lxmert-data -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
      ...(words.length === 0 ? [] : [`complete -c lxmert-data ${condition} -a '${words.join(' ')}'`]),
      ...optionsOf(command).map(({ name: option, short, value, choices, description }) => {
        const shortFlag = short === undefined ? '' : ` -s ${short}`;
        const values =
          choices === undefined ? (value === undefined ? '' : ' -r') : ` -x -a '${choices.join(' ')}'`;
        return `complete -c lxmert-data ${condition} -l ${option}${shortFlag}${values} -d ${quote(description)}`;
      }),
    ];
  });
  return `# Completion of lxmert-data for fish:  lxmert-data completion fish | source\n${lines.join('\n')}\n`;
}

/** In single quotes, for zsh and fish. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
