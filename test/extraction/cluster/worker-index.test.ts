import test from 'ava';
import { givenGpus } from '../../../pipeline/extraction/gpu-choice.ts';
import { readWorkerIndex } from '../../../pipeline/extraction/cluster/worker-index.ts';

const found = test.macro((t, text: string, env: Record<string, string>, index: number, count: number) => {
  t.deepEqual(readWorkerIndex(text, env), { index, count });
});

const SLURM = { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '5', SLURM_ARRAY_TASK_COUNT: '4' };
test('I/N as it stands', found, '3/8', SLURM, 3, 8);
test('Slurm', found, 'auto', SLURM, 3, 4);
test('Kubernetes counts from 0', found, '8', { JOB_COMPLETION_INDEX: '0' }, 1, 8);
test('AWS Batch', found, '10', { AWS_BATCH_JOB_ARRAY_INDEX: '9' }, 10, 10);
test('PBS', found, '4', { PBS_ARRAY_INDEX: '4' }, 4, 4);
test('SGE', found, '4', { SGE_TASK_ID: '6', SGE_TASK_FIRST: '5' }, 2, 4);
test('LSF', found, '4', { LSB_JOBINDEX: '2' }, 2, 4);
test('Docker Swarm', found, '4', { SWARM_TASK_SLOT: '2' }, 3, 4);
test('Docker Swarm, slot 0', found, '4', { SWARM_TASK_SLOT: 'scmepl125ynyvt39trqfx2wl2' }, 1, 4);

test('an index that is not there, or not one of the workers, is refused', t => {
  for (const [text, env] of [
    ['0/4', {}],
    ['5/4', {}],
    ['x', {}],
    ['auto', {}],
    ['4', { LSB_JOBINDEX: '0' }],
    ['4', { SGE_TASK_ID: 'undefined' }],
    ['2', { JOB_COMPLETION_INDEX: '2' }],
    ['auto', { JOB_COMPLETION_INDEX: '2' }],
  ] as const)
    t.throws(() => readWorkerIndex(text, env), { code: 'ERR_USAGE' }, text);
});

test('containers get the GPUs that a scheduler gave', t => {
  t.is(givenGpus({}), 'all');
  t.is(givenGpus({ CUDA_VISIBLE_DEVICES: '' }), 'none');
  t.deepEqual(givenGpus({ CUDA_VISIBLE_DEVICES: '0', SLURM_JOB_GPUS: '2,3' }), ['2', '3']);
  t.deepEqual(givenGpus({ CUDA_VISIBLE_DEVICES: 'GPU-1a2b' }), ['GPU-1a2b']);
  t.throws(() => givenGpus({ CUDA_VISIBLE_DEVICES: '0;rm' }), { code: 'ERR_USAGE' });
});
