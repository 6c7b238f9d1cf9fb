import { writeFile } from 'node:fs/promises';
import { compareWithSource } from '../../stages/compare-source.ts';
import { verifyStore } from '../../stages/verify-store.ts';
import { type CommandContext, type CommandSpec, integerOption, textOption } from '../command.ts';
import { printProblemSummary, resolveInputs } from '../inputs.ts';

const MAX_LISTED = 20;

export const verifyCommand: CommandSpec = {
  name: 'verify',
  summary: 'prove that stores are intact',
  description:
    'Re-reads stores against the checksum of every image and of the header, and names every damaged image.',
  argument: {
    name: 'store',
    description: '.safetensors stores',
    required: true,
    many: true,
    looksLike: /\.safetensors$/,
  },
  options: [
    {
      name: 'against',
      value: 'FILE',
      description: 'also compare row by row with this .tsv or .zip',
      looksLike: /\.(tsv|zip)$/,
    },
    {
      name: 'member',
      value: 'NAME',
      description: 'TSV inside a zip that holds several',
      looksLike: /\.tsv$/,
    },
    { name: 'report', value: 'FILE', description: 'write the outcome as JSON', looksLike: /\.json$/ },
    { name: 'threads', value: 'N', description: 'reading threads (default: all cores)', integer: true },
  ],
  examples: [
    ['lxmert-data verify train2014_obj36.safetensors', 'every byte against its checksum'],
    ['lxmert-data verify x.safetensors --against x.zip', 'every row against the archive it came from'],
  ],
  async run(words, options, context) {
    const outcomes: unknown[] = [];
    let ok = true;
    for (const path of resolveInputs(words, context.data)) {
      const store = await verifyStore(path, context, integerOption(options, 'threads'));
      const against = textOption(options, 'against');
      const source =
        against === undefined
          ? undefined
          : await compareWithSource(
              path,
              resolveInputs([against], context.data),
              context,
              textOption(options, 'member'),
            );
      const sound = store.ok && source?.ok !== false;
      ok &&= sound;
      outcomes.push({ ...store, against: source });
      context.emit({ event: 'result', stage: 'verify', ...store, ok: sound, against: source });
      printStore(store, context);
      if (source !== undefined) printComparison(source, context);
    }
    const report = textOption(options, 'report');
    if (report !== undefined) await writeFile(report, `${JSON.stringify(outcomes, null, 2)}\n`);
    return ok;
  },
};

function printStore(result: Awaited<ReturnType<typeof verifyStore>>, { print }: CommandContext): void {
  print(`${result.path}: ${result.rows} images, ${result.dtype}, ${result.ok ? 'intact' : 'DAMAGED'}`);
  const detector = JSON.parse(result.metadata['detector'] ?? '{}') as Record<string, unknown>;
  print(`  detector ${String(detector['name'])}, weights ${String(detector['weights'])}`);
  for (const fault of result.faults) print(`  ${fault}`);
  printSome(
    result.damaged,
    image =>
      `  row ${image.row} ${image.img_id}: at byte ${image.offset}, checksum ${image.got}, expected ${image.expected}`,
    print,
  );
  if (!result.ok)
    print('  what to do: convert it again from its source, or copy it again from where it was intact');
}

function printComparison(
  result: Awaited<ReturnType<typeof compareWithSource>>,
  context: CommandContext,
): void {
  const { print } = context;
  print(`  ${result.compared} rows compared with the source: ${result.ok ? 'all equal' : 'NOT EQUAL'}`);
  printSome(
    result.differences,
    ({ img_id, line, differs }) => `  ${img_id} (line ${line}): ${differs.join(', ')}`,
    print,
  );
  printSome(result.missing, id => `  ${id}: in the source, not in the store`, print);
  printSome(result.extra, id => `  ${id}: in the store, not in the source`, print);
  if (result.errors > 0) printProblemSummary(result, context);
}

function printSome<Item>(
  items: readonly Item[],
  describe: (item: Item) => string,
  print: (line: string) => void,
): void {
  for (const item of items.slice(0, MAX_LISTED)) print(describe(item));
  if (items.length > MAX_LISTED)
    print(`  … and ${items.length - MAX_LISTED} more; --report FILE.json writes all of them`);
}
