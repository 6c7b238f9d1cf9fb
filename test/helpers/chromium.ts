import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext, type Implementation } from 'ava';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { sharedPath } from './shared.ts';

const PROGRAM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const SWITCHES = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--force-color-profile=srgb',
];

let browser: Promise<Browser> | undefined;

test.after.always('the browser ends', async () => {
  await (await browser)?.close();
});

/** What pages of a test did that no page may do. */
const faultsOfTests = new WeakMap<ExecutionContext, string[]>();

/**
 * A test in a real browser, headless; reported as skipped, by name, where there is none or where shared data that it reads is missing.
 * It fails if one of its pages asks the network for anything, complains on the console, opens a dialog or throws.
 */
export function testInChromium(
  title: string,
  body: (t: ExecutionContext) => Promise<void>,
  shared?: readonly string[],
): void {
  const checked: Implementation<[]> = async t => {
    const faults: string[] = [];
    faultsOfTests.set(t, faults);
    await body(t);
    t.deepEqual(faults, []);
  };
  if (!existsSync(PROGRAM)) test.skip(`${title} (needs ${PROGRAM}; CHROMIUM can name another)`, checked);
  else if (shared !== undefined && !existsSync(sharedPath(...shared)))
    test.skip(`${title} (needs ../shared/${shared.join('/')})`, checked);
  else test.serial(title, checked);
}

export interface OpenOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

/** Opens a file in a window of its own. */
export async function openPage(t: ExecutionContext, path: string, options: OpenOptions = {}): Promise<Page> {
  browser ??= chromium.launch({ executablePath: PROGRAM, args: SWITCHES });
  const { width = 1400, height = 1000, scheme = 'light' } = options;
  const context = await (
    await browser
  ).newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const address = pathToFileURL(path).href;
  const faults = faultsOfTests.get(t)!;
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', error => faults.push(`thrown: ${error.message}`));
  page.on('request', request => {
    if (request.url() !== address && !request.url().startsWith('data:'))
      faults.push(`request: ${request.url()}`);
  });
  page.on('dialog', dialog => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  t.teardown(async () => {
    await context.close();
  });
  await page.goto(address);
  await settle(page);
  return page;
}

/** Waits until what a page does in its next frames is done: cards that come near are drawn then, and changes of settings shown. */
export async function settle(page: Page): Promise<void> {
  const frame = 'new Promise(done => requestAnimationFrame(done))';
  for (let frames = 0; frames < 3; frames++) await page.evaluate(frame);
}

/** What axe finds wrong with a page, each with the elements that it is about. */
export async function findAxeViolations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate<
    readonly { id: string; nodes: readonly { html: string; failureSummary: string }[] }[]
  >('axe.run(document).then(result => result.violations)');
  return violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map(node => `${node.html} ${node.failureSummary}`)
        .join(' | ')}`,
  );
}
