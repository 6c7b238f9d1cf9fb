import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { startExtractorProcess, type StartExtractor } from '../../pipeline/extraction/process.ts';
import { openStore } from '../../pipeline/store/feature-store.ts';
import { convert } from '../../pipeline/stages/convert.ts';
import { verifyStore } from '../../pipeline/stages/verify-store.ts';
import { ROOT } from '../helpers/cli.ts';
import { findSplit, runExtraction } from '../helpers/extraction.ts';
import { makeContext, makeLines, writeTsv } from '../helpers/rows.ts';
import { makeTempFolder } from '../helpers/temp.ts';

const PYTHON = join(ROOT, '.venv', 'bin', 'python');
const EXAMPLES = join(ROOT, 'examples');

/** A test that needs modules in .venv, which `npm test` makes; skipped by name without them, and a failure in CI. */
function testWithPython(title: string, modules: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (spawnSync(PYTHON, ['-c', `import ${modules}`]).status === 0) test(title, body);
  else if (process.env['CI'] === 'true') test(title, t => t.fail(`.venv lacks ${modules}`));
  else test.skip(`${title} (needs .venv with ${modules})`, body);
}

async function makeStore(t: ExecutionContext): Promise<string> {
  const folder = await makeTempFolder(t);
  const result = await convert({ files: [await writeTsv(folder, makeLines(5))], threads: 1 }, makeContext());
  t.true(result.ok);
  return join(folder, 'rows.safetensors');
}

test('read-store.mjs reads a store', async t => {
  const store = await makeStore(t);
  const program = (await readFile(join(EXAMPLES, 'read-store.mjs'), 'utf8')).replace(
    "'lxmert-data'",
    JSON.stringify(join(ROOT, 'pipeline', 'index.ts')),
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-', store], {
    input: program,
    encoding: 'utf8',
  });
  t.is(status, 0, stderr);
  t.regex(stdout, /^5 images, f32\n.*features of 36 boxes\nlargest feature: /);
});

testWithPython('explore.ipynb runs from top to bottom', 'nbclient, nbformat, ipykernel', async t => {
  const env = { ...process.env, LXMERT_DATA_STORE: await makeStore(t) };
  const code =
    'import sys, nbformat, nbclient; notebook = nbformat.read(sys.argv[1], 4); nbclient.NotebookClient(notebook).execute(); ' +
    'print(*(o.get("text", "") for c in notebook.cells if c.cell_type == "code" for o in c.outputs))';
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', code, join(EXAMPLES, 'explore.ipynb')], {
    env,
    encoding: 'utf8',
  });
  t.is(status, 0, stderr);
  t.regex(stdout, /5 images, all as written/);
});

testWithPython('the extractor of the examples makes a store', 'PIL, numpy', async t => {
  const folder = await makeTempFolder(t);
  for (const [name, colour] of [
    ['red', '#f00'],
    ['sky', '#8cf'],
  ] as const) {
    const picture = sharp({ create: { width: 90, height: 60, channels: 3, background: colour } });
    await writeFile(join(folder, `${name}.png`), await picture.png().toBuffer());
  }
  await writeFile(join(folder, 'broken.png'), 'no picture');
  const out = join(folder, 'x.safetensors');
  const program = join(EXAMPLES, 'custom-extractor', 'extractor.py');
  const start: StartExtractor[] = [onEvent => startExtractorProcess(PYTHON, [program], onEvent)];
  const request = { split: findSplit('custom'), images: folder, data: folder, out, start, skipBad: true };
  const result = await runExtraction(request, makeContext());
  t.like(result, { rows: 2 });
  t.true((await verifyStore(out, makeContext())).ok);
  const store = await openStore(out);
  const row = await store.row('red');
  // All pixels of a region have one colour: one bin holds them all.
  t.deepEqual([...new Set(row.features)].sort(), [0, 1]);
  await store.close();
});
