import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type CliResult, ROOT, startProgram } from './cli.ts';
import { makeTempFolder } from './temp.ts';

/** What npm itself needs of the environment; the rest of it would change what is tested. */
const NPM_ENVIRONMENT = { NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'] };
const IN_CI = process.env['CI'] === 'true';

/** A test that takes minutes and the npm registry: it runs with CI=true and is skipped by name otherwise. */
export const testInCi: typeof test.skip = IN_CI ? test : test.skip;

/** Runs a program in `cwd` with these folders in front of the PATH; fails the test where it ends with another code than 0. */
export async function runIn(
  t: ExecutionContext,
  cwd: string,
  [program, ...args]: readonly [string, ...string[]],
  path: readonly string[] = [],
): Promise<CliResult> {
  const env = { ...NPM_ENVIRONMENT, PATH: [...path, '/usr/local/bin', '/usr/bin', '/bin'].join(':') };
  const result = await startProgram(program, args, { cwd, env }).result;
  t.is(result.code, 0, `${program} ${args.join(' ')}\n${result.stdout}${result.stderr}`);
  return result;
}

/** The files of this checkout that git tracks or would track, as a clone has them. */
export async function copyCheckout(t: ExecutionContext): Promise<string> {
  const folder = join(await makeTempFolder(t), 'lxmert-data');
  const { stdout } = await runIn(t, ROOT, ['git', 'ls-files', '-z', '-co', '--exclude-standard']);
  for (const file of stdout.split('\0').filter(name => name !== '')) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    // A file may be deleted and not committed yet.
    await cp(join(ROOT, file), join(folder, file)).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
  }
  return folder;
}

export interface NpmTools {
  readonly npm: string;
  /** Version of Node.js; that of these tests by default. */
  readonly node?: string;
}

/** A folder for the PATH with `npm` and `node` of these versions and nothing else. */
export async function installTools(t: ExecutionContext, { npm, node }: NpmTools): Promise<string> {
  const folder = await makeTempFolder(t);
  const nodePackage = `node-linux-${process.arch}`;
  const packages = [`npm@${npm}`, ...(node === undefined ? [] : [`${nodePackage}@${node}`])];
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  await runIn(t, folder, ['npm', 'install', '--prefix', folder, ...options, ...packages]);
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await symlink(join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js'), join(bin, 'npm'));
  const program =
    node === undefined ? process.execPath : join(folder, 'node_modules', nodePackage, 'bin', 'node');
  await symlink(program, join(bin, 'node'));
  return bin;
}
