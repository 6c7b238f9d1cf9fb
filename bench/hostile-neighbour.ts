import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { sharp } from '../pipeline/detector/image/sharp.ts';
import { formatRow } from '../pipeline/rows/format-row.ts';
import { makeSyntheticRow } from '../pipeline/rows/synthetic-row.ts';
import { CLI } from './measure.ts';

/*
 * All commands as root in a folder that everybody may write to, while another user plants links, replaces files, renames
 * and makes pipes. Prints how each command ended, and everything that must not happen: a file of root's elsewhere that
 * changed, code of the neighbour's that ran, a stack instead of a message, a command that hung.
 * Arguments: --minutes N (default 10), --seed N.
 */

const NEIGHBOUR = 65_534;
const PATIENCE_MS = 120_000;
const ACTIONS_EACH_SECOND = 200;

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string' }, neighbour: { type: 'string' } },
});
async function attack(lengthMs: number, seed: number): Promise<void> {
  if (process.getuid?.() !== 0) {
    process.stderr.write('error: this needs root, whose files a neighbour would have changed\n');
    process.exitCode = 2;
    return;
  }
  const root = await mkdtemp(join(tmpdir(), 'lxmert-data-neighbour-'));
  await chmod(root, 0o755);
  const [shared, own] = [join(root, 'shared'), join(root, 'own')];
  await mkdir(shared);
  await chmod(shared, 0o777);
  await makeOwnFiles(own);
  const before = await digestTree(own);
  const neighbour = spawn(
    process.execPath,
    [import.meta.filename, '--neighbour', root, '--seed', String(seed)],
    {
      uid: NEIGHBOUR,
      gid: NEIGHBOUR,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const endings = new Map<string, number>();
  const faults = new Set<string>();
  const end = Date.now() + lengthMs;
  for (let turn = 0; Date.now() < end; turn++) {
    const command = COMMANDS[turn % COMMANDS.length] ?? [];
    const fault = await runCommand(command, { shared, own }, endings);
    if (fault !== undefined) faults.add(fault);
    if (existsSync(join(root, 'shared', 'executed')))
      faults.add(`code of the neighbour's ran in ${command.join(' ')}`);
    if ((await digestTree(own)) !== before) faults.add(`a file outside changed during ${command.join(' ')}`);
    if (faults.size > 0 && [...faults].some(text => !text.startsWith('stack'))) break;
  }
  neighbour.kill('SIGKILL');
  for (const [ending, count] of [...endings].sort())
    process.stdout.write(`${String(count).padStart(6)}  ${ending}\n`);
  for (const fault of faults) process.stdout.write(`FAULT: ${fault}\n`);
  process.stdout.write(
    faults.size === 0 ? 'no file outside changed, no foreign code ran, no stack, nothing hung\n' : '',
  );
  process.exitCode = faults.size === 0 ? 0 : 1;
  await rm(root, { recursive: true, force: true });
}

/** The inputs that nobody else may change, and files whose change would be the neighbour's success. */
async function makeOwnFiles(own: string): Promise<void> {
  await mkdir(join(own, 'images'), { recursive: true });
  // The neighbour may know the names; the folder can be entered, its files cannot be changed.
  await chmod(own, 0o755);
  await writeFile(join(own, 'secret'), 'a secret of root', { mode: 0o600 });
  await writeFile(join(own, 'victim.safetensors'), 'a file of root');
  await writeFile(join(own, 'victim.tsv'), 'another file of root');
  const lines = Array.from({ length: 20 }, (_, index) => formatRow(makeSyntheticRow(index)));
  await writeFile(join(own, 'rows.tsv'), lines.join(''));
  for (const [index, colour] of ['red', 'green'].entries()) {
    const image = sharp({ create: { width: 64, height: 48, channels: 3, background: colour } });
    await image.jpeg().toFile(join(own, 'images', `image${index}.jpg`));
  }
}

/** OWN is a folder of root's; every other path is in the shared folder. */
const COMMANDS: readonly (readonly string[])[] = [
  ['convert', 'OWN/rows.tsv', '--out', 'x.safetensors', '--force'],
  ['validate', 'OWN/rows.tsv', '--report', 'report.json'],
  ['verify', 'x.safetensors', '--against', 'OWN/rows.tsv', '--report', 'report.html'],
  ['export', 'x.safetensors', '--out', 'x.tsv', '--force'],
  ['export', 'x.safetensors', '--to', 'npz', '--out', 'npz', '--force'],
  ['export', 'x.safetensors', '--to', 'mmf-lmdb', '--out', 'x.lmdb', '--force'],
  ['inspect', 'x.safetensors', '--out', 'page.html', '--png', 'sheet.png', '--force'],
  ['compare', 'x.safetensors', 'x.safetensors', '--report', 'compared.json'],
  ['cast', 'x.safetensors', '--dtype', 'f16', '--out', 'half.safetensors', '--force'],
  ['merge', 'x.safetensors', '--out', 'merged.safetensors', '--force'],
  ['show', 'x.safetensors'],
  ['convert', 'x.tsv', '--out', 'again.safetensors', '--force', '--skip-bad'],
  ['fetch', 'nlvr2', '--from', '.', '--data', 'data'],
  ['status', '--data', 'data', '--html', 'status.html'],
  ['verify', 'nlvr2', '--data', 'data'],
  ['make-json', 'nlvr2', '--raw', '.', '--data', 'data', '--force'],
  [
    'extract',
    'custom',
    '--images',
    'OWN/images',
    '--weights',
    'untrained',
    '--backend',
    'embedded',
    '--rois',
    '36',
    '--out',
    'e.safetensors',
    '--data',
    'data',
    '--force',
  ],
  [
    'extract',
    'custom',
    '--images',
    '.',
    '--weights',
    'untrained',
    '--backend',
    'embedded',
    '--out',
    'i.safetensors',
    '--data',
    'data',
    '--dry-run',
  ],
];

async function runCommand(
  command: readonly string[],
  { shared, own }: { readonly shared: string; readonly own: string },
  endings: Map<string, number>,
): Promise<string | undefined> {
  const words = command.map(word => word.replace('OWN', own));
  const env = {
    ...process.env,
    NO_COLOR: '1',
    HF_TOKEN: 'hf_secret_of_root',
    npm_lifecycle_event: undefined,
  };
  const child = spawn(process.execPath, [CLI, ...words], {
    cwd: shared,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more));
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(done => {
    child.on('close', (ended, by) => done([ended, by]));
  });
  clearTimeout(timer);
  const name = `${command[0] ?? ''}: ${signal ?? `exit code ${code}`}`;
  endings.set(name, (endings.get(name) ?? 0) + 1);
  if (signal === 'SIGKILL') return `${command.join(' ')} hung`;
  if (text.includes('hf_secret_of_root')) return `a secret was printed by ${command.join(' ')}`;
  if (/\n +at .*(file:|node:)/.test(text)) return `stack of ${command.join(' ')}: ${text.slice(0, 600)}`;
  if (
    code !== 0 &&
    !/(^|\n)(error|warning): |NOT OK|DAMAGED|NOT EQUAL|INVALID|nothing was published|of \d+ files/.test(text)
  )
    return `no message from ${command.join(' ')} (exit code ${code}): ${text.slice(0, 300)}`;
  return undefined;
}

/** Names, kinds, contents and modes of everything below a folder, as one hash. */
async function digestTree(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const entry of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, entry);
    const found = await lstat(path);
    hash.update(`${entry} ${found.mode} ${found.uid} ${found.nlink} ${found.size} `);
    if (found.isFile()) hash.update(await readFile(path));
    if (found.isSymbolicLink()) hash.update(await readlink(path));
  }
  return hash.digest('hex');
}

/** The other user: acts on whatever is in the shared folder, without end. */
async function playNeighbour(root: string, seed: number): Promise<void> {
  const { promises: fs } = await import('node:fs');
  const run = promisify(execFile);
  const [shared, own] = [join(root, 'shared'), join(root, 'own')];
  let state = seed;
  const random = (count: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
  const victims = ['secret', 'victim.safetensors', 'victim.tsv', 'rows.tsv', 'new-file', 'images/image0.jpg'];
  const victim = (): string => join(own, victims[random(victims.length)] ?? '');
  const code = `open(${JSON.stringify(join(shared, 'executed'))}, 'w').close()\n`;
  const names = [
    'json.py',
    'numpy.py',
    'pickle.py',
    'lmdb.py',
    'sitecustomize.py',
    'x.safetensors',
    'x.safetensors.partial',
    'x.tsv.partial',
    'e.safetensors.rows',
    'e.safetensors.rows/exchange',
    'data/lxmert-data.lock.json',
    'data/.fetch-running',
    'report.json',
    'page.html',
    'a.jpg',
    'train.json',
    'node_modules',
    'package.json',
    '.npmrc',
  ];
  // A pipe without a reader must not stop the neighbour.
  const overwrite = async (path: string, text: string): Promise<void> => {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;
    const file = await fs.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK);
    await file.writeFile(text).finally(() => file.close());
  };
  const actions: readonly ((path: string) => Promise<unknown>)[] = [
    path => fs.symlink(victim(), path),
    path => fs.link(victim(), path),
    path => overwrite(path, path.endsWith('.py') ? code : 'planted'),
    path => fs.writeFile(path, code, { flag: 'wx' }),
    path => fs.rm(path, { recursive: true }),
    path => fs.rename(path, `${path}.moved`),
    path => fs.rename(path, join(shared, names[random(names.length)] ?? 'x')),
    path => fs.truncate(path, random(5000)),
    path => fs.mkdir(path),
    path => fs.chmod(path, 0o777),
    path => run('mkfifo', [path]),
    path => fs.symlink('/dev/zero', path),
  ];
  for (;;) {
    const present = await fs.readdir(shared, { recursive: true }).catch(() => []);
    for (let action = 0; action < 10; action++) {
      const all = random(3) === 0 ? names : [...present, ...names];
      const path = join(shared, all[random(all.length)] ?? 'x');
      await actions[random(actions.length)]?.(path).catch(() => undefined);
    }
    await new Promise(done => setTimeout(done, 10_000 / ACTIONS_EACH_SECOND));
  }
}

if (values.neighbour !== undefined) await playNeighbour(values.neighbour, Number(values.seed ?? 1));
else await attack(Number(values.minutes ?? 10) * 60_000, Number(values.seed ?? 1));
