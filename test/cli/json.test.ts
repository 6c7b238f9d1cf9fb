import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isJsonObject, parseJson } from '../../pipeline/json.ts';
import { v } from '../../pipeline/schema.ts';
import { ROOT, runCli } from '../helpers/cli.ts';
import { makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();

/** The lines of docs/json.md. */
const EVENT = v.variant('event', [
  v.object({ event: v.literal('start'), stage: text, input: text, bytes: count }),
  v.object({
    event: v.literal('progress'),
    stage: text,
    input: text,
    done: count,
    total: count,
    unit: v.picklist(['bytes', 'images', 'files', 'records']),
  }),
  v.object({
    event: v.literal('problem'),
    code: text,
    severity: v.picklist(['error', 'warning']),
    source: text,
    line: count,
    offset: count,
    img_id: v.nullable(text),
    column: v.nullable(text),
    expected: text,
    got: text,
  }),
  v.object({ event: v.literal('warning'), message: text }),
  v.object({ event: v.literal('note'), message: text }),
  v.looseObject({ event: v.literal('result'), schema_version: v.literal(1), stage: text, ok: v.boolean() }),
  v.object({
    event: v.literal('error'),
    schema_version: v.literal(1),
    code: v.pipe(text, v.regex(/^ERR_[A-Z_]+$/)),
    message: text,
    what: text,
    where: v.optional(text),
    expected: v.optional(text),
    got: v.optional(text),
    hint: v.optional(text),
  }),
]);

/** Maps of the user's own names, whose keys are theirs. */
const MAPS = new Set(['datasets', 'mirrors', 'metadata', 'by_code', 'left_out']);

function findOtherKeys(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => findOtherKeys(item, path));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const bad = /^[a-z][a-z0-9_]*$/.test(key) ? [] : [`${path}.${key}`];
    const inner = MAPS.has(key) && isJsonObject(item) ? [] : findOtherKeys(item, `${path}.${key}`);
    return [...bad, ...inner];
  });
}

/** The keys that docs/json.md lists for a stage. */
async function documentedKeys(stage: string): Promise<string[]> {
  const page = await readFile(join(ROOT, 'docs', 'json.md'), 'utf8');
  const lines = page
    .split('\n')
    .filter(line => line.startsWith('| `') && line.split('|')[1]?.includes(`\`${stage}\``));
  return lines.flatMap(line =>
    [...(line.split('|')[2] ?? '').matchAll(/`([a-z_]+)`/g)].map(([, key]) => key ?? ''),
  );
}

async function checkOutput(t: ExecutionContext, args: readonly string[], cwd: string, exitCode: number) {
  const { code, stdout, stderr } = await runCli([...args, '--json', '--data', 'data'], { cwd });
  const name = args.join(' ');
  t.is(code, exitCode, `${name}: ${stdout.slice(-500)}`);
  t.is(stderr, '', name);
  const events = stdout.trimEnd().split('\n').map(parseJson);
  for (const event of events) {
    const checked = v.safeParse(EVENT, event);
    t.true(
      checked.success,
      `${name}: ${JSON.stringify(event).slice(0, 300)} ${JSON.stringify(checked.issues?.map(({ message }) => message))}`,
    );
    t.deepEqual(findOtherKeys(event), [], name);
  }
  const last = events.at(-1);
  if (!isJsonObject(last)) return t.fail(name);
  t.true(last['event'] === 'result' || last['event'] === 'error', name);
  if (last['event'] !== 'result') return;
  t.is(last['ok'], exitCode === 0, name);
  const keys = Object.keys(last).filter(key => !['event', 'schema_version', 'stage', 'ok'].includes(key));
  const documented = await documentedKeys(String(last['stage']));
  if (last['stage'] === 'extract') return;
  t.deepEqual(
    keys.filter(key => !documented.includes(key)),
    [],
    `${name}: keys that docs/json.md does not have`,
  );
}

test('every command keeps to docs/json.md, whether it succeeds, finds problems or fails', async t => {
  t.timeout(300_000);
  const cwd = await makeTempFolder(t);
  await writeTsv(cwd, makeLines(3), 'x.tsv');
  await writeTsv(
    cwd,
    makeLines(3).map((line, row) => (row === 1 ? line.replace('\t36\t', '\t35\t') : line)),
    'bad.tsv',
  );
  await writeFile(join(cwd, 'ids.txt'), (makeLines(1)[0] ?? '').split('\t')[0] ?? '');
  await mkdir(join(cwd, 'images'));
  await writeFile(join(cwd, 'images', 'a.jpg'), 'no image');
  const succeed = [
    ['convert', 'x.tsv'],
    ['validate', 'x.tsv'],
    ['verify', 'x.safetensors', '--against', 'x.tsv'],
    ['export', 'x.safetensors', '--out', 'y.tsv'],
    ['inspect', 'x.safetensors', '--out', 'x.html', '--png', 'x.png'],
    ['compare', 'x.safetensors', 'x.safetensors'],
    ['show', 'x.safetensors'],
    ['subset', 'x.safetensors', '--ids', 'ids.txt', '--out', 'one.safetensors'],
    ['merge', 'x.safetensors', '--out', 'all.safetensors'],
    ['cast', 'x.safetensors', '--dtype', 'f16', '--out', 'half.safetensors'],
    ['status'],
    ['fetch', 'vqa', '--kind', 'json', '--dry-run'],
    ['fetch', '--list'],
    [
      'extract',
      'custom',
      '--images',
      'images',
      '--weights',
      'untrained',
      '--out',
      'e.safetensors',
      '--dry-run',
    ],
    [
      'extract',
      'custom',
      '--images',
      'images',
      '--weights',
      'untrained',
      '--backend',
      'embedded',
      '--plan',
      'p.rows',
    ],
    ['extract', '--plan', 'p.rows', '--status'],
    ['extract', '--plan', 'p.rows', '--on', 'slurm', '--dry-run'],
    ['extract', '--plan', 'p.rows', '--on', 'kubernetes', '--claim', 'c', '--pod-image', 'i'],
    ['doctor'],
    ['completion', 'bash'],
  ];
  const problems = [
    ['convert', 'bad.tsv'],
    ['validate', 'bad.tsv'],
    ['verify', 'nlvr2'],
    ['extract', '--plan', 'p.rows', '--publish'],
  ];
  const failures = [
    ['convert', 'none.tsv'],
    ['verify', 'none.safetensors'],
    ['fetch', 'nlvr2', '--from', 'nowhere'],
    ['extract', 'custom', '--images', 'nowhere', '--out', 'n.safetensors'],
    ['make-json', 'nlvr2', '--raw', 'nowhere'],
  ];
  const misuses = [
    ['convert'],
    ['fetch', 'vqaa'],
    ['show', 'x.tsv'],
    ['cast', 'x.safetensors'],
    ['no-such-command'],
    ['extract', '--plan', 'nowhere.rows', '--publish'],
    ['extract', '--plan', 'p.rows', '--worker', '3/2'],
  ];
  for (const args of succeed) await checkOutput(t, args, cwd, 0);
  for (const args of [...problems, ...failures]) await checkOutput(t, args, cwd, 1);
  for (const args of misuses) await checkOutput(t, args, cwd, 2);
});
