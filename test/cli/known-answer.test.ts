import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { hasOracle, listOracleImages, ORACLE } from '../helpers/oracle.ts';
import { runCli } from '../helpers/cli.ts';
import { sharedPath, testWithShared } from '../helpers/shared.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const PUBLISHED = ['samples', 'coco', 'train2014_obj36.head6.tsv'] as const;

testWithShared(
  'weights that are not the detector are called so, by real published rows',
  PUBLISHED,
  async t => {
    const folder = await makeTempFolder(t);
    const [row = ''] = readFileSync(sharedPath(...PUBLISHED), 'utf8').split('\n');
    const id = row.split('\t')[0] ?? '';
    writeFileSync(join(folder, 'rows.tsv'), `${row}\n`);
    copyFileSync(sharedPath('samples', 'coco', `${id}.jpg`), join(folder, `${id}.jpg`));
    const data = join(folder, 'data');
    const args = ['verify', 'detector', '--weights', 'untrained', '--from', folder, '--data', data];
    const { code, stdout } = await runCli(args);
    t.is(code, 1);
    t.regex(stdout, /untrained: these weights are NOT the detector of LXMERT's published features/);
    t.regex(stdout, /cosine of features: 0\.\d+, at least 0\.99 expected/);
  },
);

(hasOracle ? test : test.skip)(
  'rows of the same weights fit, but one image proves nothing (needs the oracle)',
  async t => {
    const folder = await makeTempFolder(t);
    const image = listOracleImages().find(({ name }) => name.startsWith('tiny'))!;
    const rows = readFileSync(join(ORACLE, 'expected_obj36.tsv'), 'utf8').split(/(?<=\n)/);
    writeFileSync(
      join(folder, 'rows.tsv'),
      rows.find(row => row.startsWith(`${image.name}\t`))!,
    );
    mkdirSync(join(folder, 'images'));
    copyFileSync(image.path, join(folder, 'images', image.path.split('/').at(-1)!));
    const data = join(folder, 'data');
    const args = ['verify', 'detector', '--weights', 'untrained', '--from', folder, '--data', data, '--json'];
    const { code, stdout } = await runCli(args);
    t.is(code, 1);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
      verdict: string;
      totals: { objects: number; features_worst: number };
    };
    t.is(result.verdict, 'undecided');
    t.is(result.totals.objects, 1);
    t.true(result.totals.features_worst < 1e-3);
  },
);

test('what stands in the way is said: no rows, no images of them, options without detector', async t => {
  const folder = await makeTempFolder(t);
  const none = await runCli(['verify', 'detector', '--weights', 'untrained', '--from', folder]);
  t.is(none.code, 1);
  t.regex(none.stderr, /no TSV of published rows was found/);
  const stray = await runCli(['verify', 'vqa', '--weights', 'untrained']);
  t.is(stray.code, 2);
  t.regex(stray.stderr, /--weights and --from are for verify detector/);
});
