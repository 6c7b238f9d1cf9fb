import { loadManifest } from '../../manifest/load.ts';
import { longest } from '../../show-text.ts';
import { examineMachine } from '../../stages/examine-machine.ts';
import { findTrainedWeights } from '../inputs.ts';
import { type CommandSpec, MANIFEST_OPTION, manifestFiles } from '../spec.ts';

const WORDS = { ok: 'ok', missing: '--', failed: 'FAILED' } as const;

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  description:
    'Looks at what the commands need on this machine: Node, disk, Python and PyTorch with its GPUs, Docker, weights, and the network to each mirror; and says what to do about what is missing. Changes nothing.',
  options: [MANIFEST_OPTION],
  examples: [
    ['lxmert-data doctor', 'before the first fetch or extract'],
    ['lxmert-data doctor --json', 'to put into a report of a problem'],
  ],
  async run(_args, options, context) {
    const findings = await examineMachine({
      dataRoot: context.data,
      weights: findTrainedWeights(context.data),
      manifest: await loadManifest({ files: manifestFiles(options) }),
      signal: context.signal,
    });
    const ok = findings.every(({ state }) => state !== 'failed');
    context.emit({ event: 'result', stage: 'doctor', ok, findings });
    const width = longest(findings.map(({ check }) => check));
    for (const { check, state, found, hint } of findings) {
      context.show(`${WORDS[state].padEnd(6)}  ${check.padEnd(width)}  ${found}`);
      if (hint !== undefined) context.show(`${' '.repeat(8 + width)}  what to do: ${hint}`);
    }
    const count = (wanted: keyof typeof WORDS): number =>
      findings.filter(({ state }) => state === wanted).length;
    context.finish(
      `${findings.length} checks: ${count('ok')} ok, ${count('missing')} missing, ${count('failed')} failed`,
      { next: ok ? undefined : 'what is said at those that failed' },
    );
    return ok;
  },
};
