import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { parsePage } from '../../pipeline/html-document.ts';
import {
  html,
  type Html,
  inlineAsset,
  jsonIsland,
  markupOf,
  outwardLink,
} from '../../pipeline/report/html.ts';
import { drawBars } from '../../pipeline/report/plots.ts';
import { formatCount, formatNumber, formatPercent, showAll } from '../../pipeline/show-text.ts';
import { runCli } from '../helpers/cli.ts';
import { findAxeViolations, openPage, testInChromium } from '../helpers/chromium.ts';
import { makeStore } from '../helpers/pages.ts';
import { makeTempFolder } from '../helpers/temp.ts';

test('whatever stands in text or in an attribute comes back as it was, and nothing else', t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const root = parsePage(markupOf(html`<p title="${text}">${text}</p>`));
      // The page's own element, and the one of the template.
      t.is([...root.querySelectorAll('*')].length, 2);
      t.is(root.querySelector('p')!.textContent, text);
      t.is(root.querySelector('p')!.getAttribute('title'), text);
    }),
  );
});

test('a JSON island holds what was put in and cannot be left', t => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const text = markupOf(jsonIsland('x', value));
      const [, json] = /^<script type="application\/json" id="x">(.*)<\/script>$/s.exec(text)!;
      t.notRegex(json!, /[<>&\u2028\u2029]/);
      t.deepEqual(JSON.parse(json!), JSON.parse(JSON.stringify(value)));
    }),
  );
  const hostile = ['</script><!--', '<script', ']]>', '\u2028', '&amp;'];
  t.false(markupOf(jsonIsland('x', hostile)).slice(30, -9).includes('<'));
});

const refused = test.macro((t, make: () => Html) => {
  t.throws(make, { instanceOf: TypeError });
});

const text = 'x';
test('no value in a script', refused, () => html`<script>${text}</script>`);
test('no value in a style', refused, () => html`<style>${text}</style>`);
test('no value in a tag', refused, () => html`<p ${text}>`);
test('no value in a name', refused, () => html`<${text}>`);
test('no value in an unquoted attribute', refused, () => html`<p title=${text}>`);
test('no value in an event handler', refused, () => html`<p onclick="${text}">`);
test('no value in a style attribute', refused, () => html`<p style="${text}">`);
test('no address of elsewhere', refused, () => html`<a href="${'https://example.org'}">`);
test('no script as an address', refused, () => html`<a href="${'javascript:1'}">`);
test('no HTML in an attribute', refused, () => html`<p title="${html`x`}">`);
test('links out of a page are encrypted', refused, () => outwardLink('http://example.org/', text));
test('no end of a script in a script', refused, () => inlineAsset('script', '"</script>"'));

test('places are told apart within a template', t => {
  const place = '#top';
  t.is(
    markupOf(
      html`<a href="${place}" title="a > b ${text}">${text}</a>${[html`<b>${1}</b>`, 'y', undefined, false]}`,
    ),
    '<a href="#top" title="a > b x">x</a><b>1</b>y',
  );
});

test('hidden characters are written out', t => {
  t.is(showAll('a\u202eb\u0000c\u200d\n\ud800'), 'a\\u{202e}b\\u{0}c\\u{200d}\\u{a}\ufffd');
  t.is(showAll('ordinary 汉字 é 😀'), 'ordinary 汉字 é 😀');
});

test('numbers for people', t => {
  t.is(formatCount(1234567), '1\u2009234\u2009567');
  t.deepEqual([0.12345, 71.264, 1e-7, 123456.7, 3].map(formatNumber), [
    '0.123',
    '71.3',
    '1.00e-7',
    '1.23e+5',
    '3',
  ]);
  t.deepEqual([0, 0.0004, 0.034, 0.5, 1].map(formatPercent), ['0 %', '0.04 %', '3.4 %', '50 %', '100 %']);
});

test('a plot of hostile names is text', t => {
  const name = '<img src=x onerror=alert(1)> " onload=x';
  const plot = markupOf(
    drawBars({
      title: name,
      summary: 'x',
      unit: 'boxes',
      filter: 'object',
      bars: [
        { key: name, name, count: 2 },
        { key: '1', name, count: 1 },
      ],
    }),
  );
  const root = parsePage(plot);
  t.is([...root.querySelectorAll('img, style, script')].length, 0);
  t.is([...root.querySelectorAll('.bar-list rect')].length, 2);
  t.is(root.querySelector('.bar-list .name')!.textContent, name);
  t.is(root.querySelector('.bar-list a')!.getAttribute('href'), `#object=${encodeURIComponent(name)}`);
});

async function makeData(t: Parameters<typeof makeTempFolder>[0]): Promise<string> {
  const folder = await makeTempFolder(t);
  const put = async (path: string, content: string): Promise<void> => {
    await mkdir(dirname(join(folder, 'data', path)), { recursive: true });
    await writeFile(join(folder, 'data', path), content);
  };
  await put('vqa/train.json', '[]');
  await put('vocab/objects_vocab.txt', 'x\n');
  const entry = {
    file: 'vqa/train.json',
    size: 3,
    sha256: 'a'.repeat(64),
    mirror: 'drive',
    place: 'data/vqa/<b>train.json',
    date: '2026-01-02T03:04:05Z',
  };
  await put(
    'lxmert-data.lock.json',
    JSON.stringify({ lock_version: 1, artefacts: { 'vqa/train.json': entry } }),
  );
  return folder;
}

testInChromium('status as a page: what is there, from which mirror, what to do', async t => {
  const folder = await makeData(t);
  const { code, stdout } = await runCli(['status', '--html', 'status.html'], { cwd: folder });
  t.is(code, 0);
  t.regex(stdout, /NOT AS LOCKED|not locked/);
  for (const scheme of ['light', 'dark'] as const) {
    const page = await openPage(t, join(folder, 'status.html'), { scheme });
    t.deepEqual(await findAxeViolations(page), []);
    const row = page.locator('tr', { hasText: 'vqa/train.json' });
    t.is(await row.count(), 1);
    t.regex(
      await row.innerText(),
      /not as locked[\s\S]*2 bytes[\s\S]*Google Drive folder of the authors, data\/vqa\/<b>train\.json, 2026-01-02/,
    );
    t.is(await row.locator('a').getAttribute('href'), 'https://drive.google.com/');
    const missing = page.locator('tr', { hasText: 'vqa/test.json' });
    t.is(await missing.count(), 1);
    t.regex(await missing.innerText(), /missing[\s\S]*available from unc, drive, baidu, unc-nlp1 \(dead\)/);
    const section = page.locator('section', {
      has: page.getByRole('heading', { name: 'VQA 2.0', exact: true }),
    });
    t.regex(await section.innerText(), /Move vqa\/train\.json away first\./);
    t.deepEqual(await section.locator('.command code').allInnerTexts(), [
      'lxmert-data fetch vqa --split all',
    ]);
    t.regex(await page.locator('.masthead p').innerText(), /^\d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  }
  const all = await openPage(t, join(folder, 'status.html'));
  await all.evaluate(`document.querySelectorAll('details').forEach(files => { files.open = true; })`);
  const files = await all.locator('tbody th').allInnerTexts();
  t.is(new Set(files).size, files.length, 'each file stands once');
  t.true(files.length > 60);
  t.deepEqual(await findAxeViolations(all), []);
  const narrow = await openPage(t, join(folder, 'status.html'), { width: 400 });
  t.true(await narrow.evaluate('document.documentElement.scrollWidth <= innerWidth'));
});

testInChromium('the command of a page is as this user must type it, and a button copies it', async t => {
  const folder = await makeData(t);
  const env = { npm_lifecycle_event: 'status', INIT_CWD: folder };
  const { code } = await runCli(['status', '--html', 'status.html', '--data', 'data'], { cwd: folder, env });
  t.is(code, 0);
  const page = await openPage(t, join(folder, 'status.html'));
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy' }).first().click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  t.is(await page.evaluate('navigator.clipboard.readText()'), 'npm run fetch -- --data data vqa --split all');
});

testInChromium('verification of a dataset as a page: every problem and how to mend it', async t => {
  const folder = await makeData(t);
  const { code } = await runCli(['verify', 'vqa', '--quick', '--report', 'x.html'], { cwd: folder });
  t.is(code, 1);
  const page = await openPage(t, join(folder, 'x.html'));
  t.deepEqual(await findAxeViolations(page), []);
  const problems = await page.locator('.problems li').allInnerTexts();
  t.is(problems.length, 1, problems.join('\n'));
  t.regex(
    problems[0]!,
    /vqa\/train\.json: 2 bytes, the lock has 3\s+What to do: move .* away and fetch it again/,
  );
  t.deepEqual(await page.locator('.command code').allInnerTexts(), ['lxmert-data fetch vqa']);
  const missing = page.locator('tr', { hasText: 'vqa/minival.json' });
  t.is(await missing.count(), 1);
  t.regex(await missing.innerText(), /missing/);
  t.is(await page.getByText('vqa/minival.json').count(), 1, 'a missing file is named once');
  t.regex(await page.locator('h2 + p .state').first().innerText(), /^\d+ problems$/);
});

testInChromium('verification of stores as a page: every damaged image', async t => {
  const good = await makeStore(t, [{}], 'good');
  const { folder, store } = await makeStore(t, [{}, { img_id: "<i>'&" }], 'bad');
  const bytes = await readFile(store);
  bytes[8 + Number(bytes.readBigUInt64LE()) + 36 * 2048 * 4 + 100]! ^= 1;
  await writeFile(store, bytes);
  const { code } = await runCli(['verify', good.store, store, '--report', 'x.html'], { cwd: folder });
  t.is(code, 1);
  const page = await openPage(t, join(folder, 'x.html'), { scheme: 'dark' });
  t.deepEqual(await findAxeViolations(page), []);
  t.deepEqual(await page.locator('section .section-head .state').allInnerTexts(), ['intact', 'damaged']);
  const rows = await page.locator('tbody tr').allInnerTexts();
  t.is(rows.length, 1);
  t.regex(rows[0]!, /^<i>'&\s+damaged\s+1\s/);
  t.regex(await page.locator('.problems').innerText(), /1 damaged image\s+What to do: convert it again/);
});

test('a page that cannot be written fails before the work starts', async t => {
  const { folder, store } = await makeStore(t, [{}]);
  for (const words of [
    ['verify', store, '--report', 'none/x.html'],
    ['status', '--html', 'none/x.html'],
    ['status', '--html', 'x.txt'],
  ]) {
    const { code, stderr, stdout } = await runCli(words, { cwd: folder });
    t.true(code === 1 || code === 2, words.join(' '));
    t.regex(stderr, /the output folder does not exist|wrong ending/);
    t.is(stdout, '');
  }
  for (const [args, file] of [
    [['verify', store, '--report', 'mine.json'], 'mine.json'],
    [['compare', store, store, '--report', 'mine.json'], 'mine.json'],
    [['status', '--html', 'mine.html'], 'mine.html'],
  ] as const) {
    await writeFile(join(folder, file), 'work of hours');
    const refused = await runCli(args, { cwd: folder });
    t.is(refused.code, 1, args.join(' '));
    t.regex(refused.stderr, new RegExp(`${file}: the output exists already[\\s\\S]*--force`));
    t.is(await readFile(join(folder, file), 'utf8'), 'work of hours');
  }
  t.is((await runCli(['verify', store, '--report', 'mine.json', '--force'], { cwd: folder })).code, 0);
  t.true(Array.isArray(JSON.parse(await readFile(join(folder, 'mine.json'), 'utf8'))));
});
