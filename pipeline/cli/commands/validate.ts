import { formatBytes } from '../../files/format-bytes.ts';
import { loadExpectedRows } from '../../manifest/expected-rows.ts';
import { validate } from '../../stages/validate.ts';
import {
  type CommandSpec,
  integerOption,
  textOption,
  DECODING_THREADS_OPTION,
  MANIFEST_OPTION,
  manifestFiles,
  MEMBER_OPTION,
  SUBSET_OPTION,
} from '../spec.ts';
import { printProblemSummary, resolveInputs } from '../inputs.ts';
import { openReport, REPLACE_REPORT_OPTION, reportOption } from '../report-file.ts';
import { quoted } from '../typed-commands.ts';

export const validateCommand: CommandSpec = {
  name: 'validate',
  description: 'Checks every row of obj36 TSVs, or of the TSV inside zip archives, and reports all problems.',
  argument: {
    name: 'file',
    description: '.tsv or .zip files; - is the standard input',
    required: true,
    many: true,
    looksLike: /\.(tsv|zip)$/,
  },
  options: [
    reportOption('write all problems as JSON'),
    REPLACE_REPORT_OPTION,
    MEMBER_OPTION,
    SUBSET_OPTION,
    DECODING_THREADS_OPTION,
    MANIFEST_OPTION,
  ],
  examples: [
    ['lxmert-data validate train2014_obj36.tsv', 'check one file'],
    ['lxmert-data validate *.zip --report problems.json', 'check archives without unpacking them'],
  ],
  async run(args, options, context) {
    const resolved = resolveInputs(args, context.data);
    const report = await openReport(options, resolved);
    const result = await validate(
      {
        files: resolved,
        member: textOption(options, 'member'),
        threads: integerOption(options, 'threads'),
        subset: options['subset'] === true,
        expectedRows: await loadExpectedRows(manifestFiles(options)),
      },
      context,
    );
    await report.write(result);
    const { ok, ...details } = result;
    context.emit({ event: 'result', stage: 'validate', ok, ...details });
    for (const source of result.sources) {
      const rejected = source.rejected === 0 ? '' : `, ${source.rejected} invalid`;
      context.print(
        `${source.label}: ${source.rows} valid rows${rejected}, ${formatBytes(source.size)}, sha256 ${source.sha256}`,
      );
      context.print(`  boxes end where Caffe clips them in ${source.edge_exact} of ${source.rows} rows`);
    }
    printProblemSummary(result, context);
    const { sources } = result;
    const rows = sources.reduce((sum, source) => sum + source.rows, 0);
    const files = sources.length === 1 ? 'one file' : `${sources.length} files`;
    context.finish(`${rows} valid rows in ${files}`, {
      done: sources.reduce((sum, { size }) => sum + size, 0),
      unit: 'bytes',
      next: ok
        ? `lxmert-data convert ${files === 'one file' ? quoted(resolved[0] ?? '') : 'FILE'}`
        : undefined,
    });
    return ok;
  },
};
