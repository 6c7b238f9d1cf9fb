import test from 'ava';
import type { CommandSpec } from '../../pipeline/cli/spec.ts';
import { convertCommand } from '../../pipeline/cli/commands/convert.ts';
import { exportCommand } from '../../pipeline/cli/commands/export.ts';
import { inspectCommand } from '../../pipeline/cli/commands/inspect.ts';
import { startCommand } from '../../pipeline/cli/commands/start.ts';
import { validateCommand } from '../../pipeline/cli/commands/validate.ts';
import { verifyCommand } from '../../pipeline/cli/commands/verify.ts';
import { restoreNpmArguments } from '../../pipeline/cli/npm-arguments.ts';

/** What the script gets for `npm run NAME line`, after npm took the options out of it; seen with npm 11. */
function splitLikeNpm(line: readonly string[]): {
  args: string[];
  env: Record<string, string>;
  order: string[];
} {
  const args: string[] = [];
  const env: Record<string, string> = {};
  for (const [place, word] of line.entries()) {
    const [option, attached] = word.split('=');
    // npm takes --to for its --token-description, value and all, and --png for -p -n -g.
    if (line[place - 1] === '--to') continue;
    if (option === '--to') env['npm_config_token_description'] = attached ?? line[place + 1]!;
    else if (option === '--png') {
      Object.assign(env, { npm_config_parseable: 'true', npm_config_yes: '', npm_config_global: 'true' });
      if (attached !== undefined) args.push(attached);
    } else if (!word.startsWith('--')) args.push(word);
    else {
      const [name, ...value] = word.slice(2).split('=');
      env[`npm_config_${name!.replaceAll('-', '_')}`] = value.length === 0 ? 'true' : value.join('=');
    }
  }
  return { args, env, order: Object.keys(env) };
}

function restore(command: CommandSpec, line: readonly string[], withOrder = true): readonly string[] {
  const { args: words, env, order } = splitLikeNpm(line);
  const npm = { npm_command: 'run', npm_lifecycle_event: command.name };
  return restoreNpmArguments(command, {
    args: words,
    env: { ...env, ...npm },
    ...(withOrder ? { order } : {}),
  });
}

const means = test.macro((t, command: CommandSpec, line: string, expected: string) => {
  for (const withOrder of [true, false]) {
    const restored = restore(command, line.split(' '), withOrder);
    t.deepEqual([...restored].sort(), expected.split(' ').sort());
    t.deepEqual(
      restored.filter(word => !word.startsWith('--')),
      expected.split(' ').filter(word => !word.startsWith('--')),
    );
  }
});

test('a value apart from its option', means, convertCommand, '--dtype f16 a.tsv', '--dtype=f16 a.tsv');
test('a value with =', means, convertCommand, '--dtype=f16 a.tsv', '--dtype=f16 a.tsv');
test(
  'an option behind the file',
  means,
  convertCommand,
  'a.tsv --out x.safetensors',
  '--out=x.safetensors a.tsv',
);
test(
  'a switch before the file',
  means,
  convertCommand,
  '--skip-bad a.tsv --force',
  '--skip-bad --force a.tsv',
);
test(
  'several files among options',
  means,
  convertCommand,
  'a.tsv --first v.json b.zip --dtype bf16 --threads 2',
  '--first=v.json --dtype=bf16 --threads=2 a.tsv b.zip',
);
test(
  'two options of which one has =',
  means,
  verifyCommand,
  '--against=a.zip x.safetensors --report r.json',
  '--against=a.zip --report=r.json x.safetensors',
);
test('a folder', means, validateCommand, '--data ../d a.tsv', '--data=../d a.tsv');
test('names that npm knows itself', means, validateCommand, '--json a.tsv', '--json a.tsv');
test('start with a file', means, startCommand, 'a.tsv', 'a.tsv');
test(
  'a format, which npm takes with its value',
  means,
  exportCommand,
  'x.safetensors --to npy --out y --dtype f16',
  '--to=npy --out=y --dtype=f16 x.safetensors',
);
test(
  'a picture, which npm takes for three switches',
  means,
  inspectCommand,
  'x.safetensors --limit 12 --png x.png',
  '--limit=12 --png=x.png x.safetensors',
);
test('a picture behind =', means, inspectCommand, 'x.safetensors --png=x.png', '--png=x.png x.safetensors');
test(
  'export',
  means,
  exportCommand,
  'x.safetensors --out y.tsv --force',
  '--out=y.tsv --force x.safetensors',
);

test('the order of the command line decides where kinds do not', t => {
  t.deepEqual(restore(convertCommand, ['--report', 'r.json', '--first', 'v.json', 'a.tsv']), [
    '--report=r.json',
    '--first=v.json',
    'a.tsv',
  ]);
  t.deepEqual(restore(convertCommand, ['--first', 'r.json', '--report', 'v.json', 'a.tsv']), [
    '--first=r.json',
    '--report=v.json',
    'a.tsv',
  ]);
});

test('what cannot be told apart is refused with the way out', t => {
  t.throws(() => restore(convertCommand, ['--report', 'r.json', '--first', 'v.json', 'a.tsv'], false), {
    code: 'ERR_USAGE',
    message:
      'npm keeps the values of --first, --report apart from them, and it is ambiguous which argument is whose value\n' +
      '  got:      r.json v.json a.tsv\n' +
      '  what to do: put -- before the options: npm run convert -- --first IDS --report FILE',
  });
  t.throws(() => restore(convertCommand, ['--dtype', 'f64', 'a.tsv']), { code: 'ERR_USAGE' });
});

test('npm log levels are --quiet', t => {
  const env = { npm_command: 'run', npm_lifecycle_event: 'validate', npm_config_loglevel: 'warn' };
  t.deepEqual(restoreNpmArguments(validateCommand, { args: ['a.tsv'], env }), ['--quiet', 'a.tsv']);
});

test('outside of npm scripts nothing is touched', t => {
  const call = { args: ['a.tsv', '--out', 'x.safetensors'], env: { npm_config_dtype: 'f16' } };
  t.deepEqual(restoreNpmArguments(convertCommand, call), call.args);
  const other = { npm_command: 'run', npm_lifecycle_event: 'postinstall', npm_config_dtype: 'f16' };
  t.deepEqual(restoreNpmArguments(convertCommand, { args: call.args, env: other }), call.args);
});

test('what stands behind -- wins', t => {
  const env = { npm_command: 'run', npm_lifecycle_event: 'convert', npm_config_dtype: 'f16' };
  const words = ['a.tsv', '--dtype', 'bf16'];
  t.deepEqual(restoreNpmArguments(convertCommand, { args: words, env }), words);
});
