import { formatBytes } from '../../files.ts';
import { loadManifest } from '../../manifest.ts';
import { readStatus } from '../../stages/status.ts';
import { type CommandSpec, textOption } from '../command.ts';

const WORDS = {
  present: 'present',
  unlocked: 'present, not locked',
  differs: 'NOT AS LOCKED',
  partial: 'partial',
  missing: 'missing',
} as const;

export const statusCommand: CommandSpec = {
  name: 'status',
  description:
    'Shows which files of each data set are there, begun or missing, and the disk they use. Reads no contents.',
  options: [
    { name: 'manifest', value: 'FILE', description: 'your own mirrors and files', looksLike: /\.json$/ },
  ],
  examples: [['lxmert-data status', 'all data sets']],
  async run(_words, options, context) {
    const own = textOption(options, 'manifest');
    const manifest = await loadManifest({ files: own?.split(',') });
    const status = await readStatus(manifest, context.data);
    context.emit({ event: 'result', stage: 'status', ok: true, ...status });
    for (const { dataset, artefacts } of status.datasets) {
      const there = artefacts.filter(({ state }) => state === 'present' || state === 'unlocked').length;
      context.print(`${dataset}: ${there} of ${artefacts.length} files`);
      // A data set of which nothing is there needs one line only.
      for (const { file, state, bytes } of artefacts.every(({ state }) => state === 'missing')
        ? []
        : artefacts) {
        context.print(`  ${WORDS[state].padEnd(19)}  ${file}${bytes === 0 ? '' : `, ${formatBytes(bytes)}`}`);
      }
    }
    context.print(`disk: ${formatBytes(status.usedBytes)} used, ${formatBytes(status.freeBytes)} free`);
    return true;
  },
};
