import { LxmertDataError } from '../../errors.ts';
import { renderCompletion, SHELLS } from '../completion.ts';
import { COMMANDS } from '../registry.ts';
import type { CommandSpec } from '../spec.ts';

export const completionCommand: CommandSpec = {
  name: 'completion',
  description: 'Prints a script that completes commands, options and file names in a shell.',
  argument: { name: 'shell', description: SHELLS.join(', '), required: true, many: false, words: SHELLS },
  options: [],
  examples: [
    ['eval "$(lxmert-data completion bash)"', 'in ~/.bashrc'],
    ['source <(lxmert-data completion zsh)', 'in ~/.zshrc, below compinit'],
    ['lxmert-data completion fish | source', 'in ~/.config/fish/config.fish'],
  ],
  async run([name = ''], _options, context) {
    const shell = SHELLS.find(known => known === name);
    if (shell === undefined) {
      throw new LxmertDataError('ERR_USAGE', {
        what: 'this shell is not known',
        expected: SHELLS.join(', '),
        got: name,
      });
    }
    const script = await renderCompletion(shell, COMMANDS);
    context.emit({ event: 'result', stage: 'completion', ok: true, shell, script });
    context.show(script.trimEnd());
    return true;
  },
};
