import { formatBytes, formatFreeBytes } from '../../files/format-bytes.ts';
import { LxmertDataError } from '../../errors.ts';
import { withSnakeKeys } from '../json-keys.ts';
import { loadManifest } from '../../manifest/load.ts';
import { describeStatus } from '../health-pages.ts';
import { type DataStatus, readStatus } from '../../stages/status.ts';
import { openReportFile, REPLACE_REPORT_OPTION } from '../report-file.ts';
import { formatDuration } from '../progress-line.ts';
import { quoted } from '../typed-commands.ts';
import {
  type CommandContext,
  type CommandSpec,
  MANIFEST_OPTION,
  manifestFiles,
  textOption,
} from '../spec.ts';

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
    'Shows which files of each dataset are downloaded, partial or missing, and the disk space they use. Reads no contents.',
  options: [
    MANIFEST_OPTION,
    { name: 'html', value: 'FILE', description: 'write it as a page', looksLike: /\.html$/ },
    REPLACE_REPORT_OPTION,
  ],
  examples: [
    ['lxmert-data status', 'all datasets'],
    ['lxmert-data status --html status.html', 'the same as a page: from which mirror, and what to do'],
  ],
  async run(_words, options, context) {
    const page = textOption(options, 'html');
    if (page?.endsWith('.html') === false) {
      const expected = 'a name that ends in .html';
      throw new LxmertDataError('ERR_USAGE', { what: 'the page has the wrong ending', expected, got: page });
    }
    const report = await openReportFile(page, [], { force: options['force'] === true, option: '--html' });
    const manifest = await loadManifest({ files: manifestFiles(options) });
    const status = await readStatus(manifest, context.data);
    context.emit({ event: 'result', stage: 'status', ok: true, ...withSnakeKeys(status) });
    await report.write(status, async () => await describeStatus(status, manifest, context));
    for (const { dataset, assets } of status.datasets) {
      const there = assets.filter(({ state }) => state === 'present' || state === 'unlocked').length;
      context.show(`${dataset}: ${there} of ${assets.length} files`);
      // A dataset without any file needs one line only.
      for (const asset of assets.every(({ state }) => state === 'missing') ? [] : assets) {
        const { file, state, bytes, extracted } = asset;
        const size = bytes === 0 ? '' : `, ${formatBytes(bytes)}`;
        const origin = extracted === null ? '' : `, extracted by ${extracted}`;
        context.show(`  ${WORDS[state].padEnd(19)}  ${file}${size}${origin}`);
      }
    }
    for (const { path, host, bytes, age } of status.partials) {
      context.show(
        `leftover of the machine ${host}: ${path}, ${formatBytes(bytes)}, written to ${formatDuration(age)} ago; ` +
          `if nothing runs there any more, remove it: rm -r ${quoted(path)}`,
      );
    }
    context.show(`disk: ${formatBytes(status.usedBytes)} used, ${formatFreeBytes(status.freeBytes)} free`);
    context.finish(...summarize(status, context.data));
    return true;
  },
};

/** Files that datasets share are counted once. */
function summarize({ datasets }: DataStatus, data: string): Parameters<CommandContext['finish']> {
  const states = new Map(datasets.flatMap(({ assets }) => assets).map(({ name, state }) => [name, state]));
  const here = [...states.values()].filter(state => state === 'present' || state === 'unlocked').length;
  const begun = datasets.filter(({ assets }) => assets.some(({ state }) => state !== 'missing'));
  const next = begun.length === 0 ? 'lxmert-data fetch DATASET' : 'lxmert-data verify';
  return [`${data}: ${here} of ${states.size} files present`, { next }];
}
