import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EXTRACTOR_EXIT, type ExtractorEvent } from '../../../pipeline/extraction/contract.ts';
import { startExtractorProcess } from '../../../pipeline/extraction/process.ts';
import { chooseTorchDevices, listTorchDevices } from '../../../pipeline/extraction/torch/devices.ts';
import { startTorchExtractors } from '../../../pipeline/extraction/torch/start.ts';
import { PYTHON_PROGRAM, pythonEnvironment } from '../../../pipeline/python/find-python.ts';
import { runCli } from '../../helpers/cli.ts';
import { findSplit, runExtraction } from '../../helpers/extraction.ts';
import { makeContext } from '../../helpers/rows.ts';
import { makeTempFolder } from '../../helpers/temp.ts';
import { hasTorch, paintWideImages, TORCH_PYTHON } from '../../helpers/torch.ts';

const isInstalled = hasTorch();

/** Skipped by name where no Python has what the detector needs; in CI that fails. */
function testWithTorch(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (isInstalled) test.serial(title, body);
  else if (process.env['CI'] === 'true')
    test.serial(title, t => t.fail(`${TORCH_PYTHON} lacks torch, numpy or pillow`));
  else test.skip(`${title} (needs TORCH_PYTHON with torch, numpy and pillow)`, body);
}

const FAST = { weights: 'untrained', rois: 36, threads: 1 };

testWithTorch('stores are the same, byte for byte, whatever the number of processes', async t => {
  const images = await paintWideImages(t, 4);
  const extractOn = async (devices: readonly string[]): Promise<Buffer> => {
    // One name, since it stands in the store.
    const data = await makeTempFolder(t);
    const out = join(data, 'x.safetensors');
    const run = {
      split: findSplit('custom'),
      images,
      data,
      out,
      start: () => Promise.resolve(startTorchExtractors(TORCH_PYTHON, devices, FAST)),
    };
    const result = await runExtraction(run, makeContext());
    t.true(result.ok);
    t.deepEqual(result.detector, { name: 'bottom-up-attention (PyTorch)', weights: 'untrained', rois: 36 });
    return await readFile(out);
  };
  const one = await extractOn(['cpu']);
  t.true(one.equals(await extractOn(['cpu', 'cpu'])));
});

testWithTorch('the command line extracts with --backend torch and resumes', async t => {
  const images = await paintWideImages(t, 2);
  const data = await makeTempFolder(t);
  const out = join(data, 'x.safetensors');
  const args = [
    'extract',
    'custom',
    '--images',
    images,
    '--out',
    out,
    '--data',
    data,
    '--weights',
    'untrained',
  ];
  const torch = ['--rois', '36', '--threads', '1', '--device', 'cpu', '--python', TORCH_PYTHON];
  const dry = await runCli([...args, ...torch, '--dry-run']);
  t.is(dry.code, 0, dry.stderr);
  t.regex(dry.stderr, /backend torch: --python is one of its options/);
  const done = await runCli([...args, '--backend', 'torch', ...torch, '--limit', '1', '--keep-rows']);
  t.is(done.code, 0, done.stderr);
  t.regex(done.stderr, /PyTorch 2\.\S+ of .*; one process on cpu/);
  const other = await runCli([...args, '--rois', '40', ...torch.slice(2), '--force']);
  t.is(other.code, 1);
  t.regex(other.stderr, /come from another detector/);
  const again = await runCli([...args, ...torch, '--force']);
  t.is(again.code, 0, again.stderr);
  t.regex(again.stdout, /2 images, 1 of them done before/);
});

testWithTorch('devices that PyTorch does not see are refused with those it sees', async t => {
  const seen = await listTorchDevices(TORCH_PYTHON);
  if (typeof seen === 'string') throw new Error(seen);
  t.throws(() => chooseTorchDevices('cuda:99', seen), { message: /does not see the device "cuda:99"/ });
  t.regex((await listTorchDevices('no-such-python')) as string, /ENOENT/);
});

test('devices are chosen as written', t => {
  const none = { torch: '2', cuda: [], mps: false };
  const two = { torch: '2', cuda: ['A', 'A'], mps: false };
  t.deepEqual(chooseTorchDevices('auto', none), ['cpu']);
  t.deepEqual(chooseTorchDevices('auto', { ...none, mps: true }), ['mps']);
  t.deepEqual(chooseTorchDevices('auto', two), ['cuda:0', 'cuda:1']);
  t.deepEqual(chooseTorchDevices('cuda', two), ['cuda:0', 'cuda:1']);
  t.deepEqual(chooseTorchDevices('cuda:1', two), ['cuda:1']);
  t.deepEqual(chooseTorchDevices('cpu', two), ['cpu']);
  for (const wanted of ['cuda', 'mps'])
    t.throws(() => chooseTorchDevices(wanted, none), { code: 'ERR_DEVICE' });
  for (const wanted of ['gpu', 'cuda:', 'cuda:1,1', 'cuda:-1'])
    t.throws(() => chooseTorchDevices(wanted, two), { code: 'ERR_USAGE' });
});

testWithTorch('exit codes and events of the program keep to the contract', async t => {
  const run = async (args: readonly string[]) => {
    const events: ExtractorEvent[] = [];
    const take = (event: ExtractorEvent): void => void events.push(event);
    const running = startExtractorProcess(
      TORCH_PYTHON,
      [PYTHON_PROGRAM, '--detector', ...args],
      take,
      pythonEnvironment(),
    );
    running.finish();
    return { ...(await running.ended), events };
  };
  t.is((await run(['--no-such'])).code, EXTRACTOR_EXIT.usage);
  t.is((await run(['--rois=20', '--device=cpu'])).code, EXTRACTOR_EXIT.usage);
  const weights = await run(['--weights=/no/such', '--device=cpu']);
  t.is(weights.code, EXTRACTOR_EXIT.weights);
  t.regex(weights.stderrTail, /does not exist/);
  t.is((await run(['--device=cuda:77'])).code, EXTRACTOR_EXIT.device);
  t.is((await run(['--device=cpu', '--precision=tf32'])).code, EXTRACTOR_EXIT.usage);
});
