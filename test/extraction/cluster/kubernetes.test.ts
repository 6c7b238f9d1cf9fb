import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { describeKubernetesJob, toYaml } from '../../../pipeline/extraction/cluster/kubernetes.ts';
import { isJsonObject, parseJson } from '../../../pipeline/json.ts';
import { ROOT } from '../../helpers/cli.ts';
import { hasTool } from '../../helpers/tools.ts';

const JOB = {
  name: 'photos',
  image: 'registry.example.org/lxmert-data:1',
  claim: 'photos',
  mount: '/shared',
  folder: '/shared/x.rows',
  workers: 8,
  atOnce: 4,
  gpus: 1,
  cpus: '4',
  memory: '16Gi',
};

const GOLDEN = `apiVersion: batch/v1
kind: Job
metadata:
  name: photos
spec:
  completionMode: Indexed
  completions: 8
  parallelism: 4
  backoffLimitPerIndex: 3
  maxFailedIndexes: 8
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
      tolerations:
        - key: node.kubernetes.io/not-ready
          operator: Exists
          effect: NoExecute
          tolerationSeconds: 60
        - key: node.kubernetes.io/unreachable
          operator: Exists
          effect: NoExecute
          tolerationSeconds: 60
      containers:
        - name: worker
          image: "registry.example.org/lxmert-data:1"
          args:
            - extract
            - "--plan"
            - "/shared/x.rows"
            - "--worker"
            - "8"
            - "--job"
            - photos
          volumeMounts:
            - name: shared
              mountPath: "/shared"
          resources:
            requests:
              cpu: "4"
              memory: "16Gi"
              nvidia.com/gpu: "1"
            limits:
              cpu: "4"
              memory: "16Gi"
              nvidia.com/gpu: "1"
      volumes:
        - name: shared
          persistentVolumeClaim:
            claimName: photos
`;

test('an Indexed Job is printed as kubectl takes it', t => {
  t.is(toYaml(describeKubernetesJob(JOB)), GOLDEN);
});

test('the API of Kubernetes 1.34 knows every field of it', async t => {
  // Types of the API's published schema, without descriptions and without types that a Job of ours does not reach.
  const path = join(ROOT, 'test', 'fixtures', 'kubernetes-job-1.34.json');
  const schemas = parseJson(await readFile(path, 'utf8'));
  if (!isJsonObject(schemas)) return t.fail();
  const check = (value: unknown): string[] => findFaults(schemas, schemas['job-batch-v1'], value, '');
  t.deepEqual(check(describeKubernetesJob(JOB)), []);
  t.deepEqual(check(describeKubernetesJob({ ...JOB, gpus: 0, cpus: undefined, memory: undefined })), []);
  const job = describeKubernetesJob(JOB);
  t.deepEqual(check({ ...job, spec: { template: {}, completion: 1, parallelism: '4' } }), [
    '.spec.completion is not known',
    '.spec.parallelism is no integer',
  ]);
});

test('names that would change the manifest stay text', t => {
  const hostile = `/shared/"a": b\n# c/x.rows`;
  const yaml = toYaml(describeKubernetesJob({ ...JOB, folder: hostile, mount: 'yes' }));
  t.true(yaml.includes(`- ${JSON.stringify(hostile)}\n`));
  t.true(yaml.includes('mountPath: "yes"\n'));
  readBack(t, yaml, describeKubernetesJob({ ...JOB, folder: hostile, mount: 'yes' }));
  for (const name of ['Photos', '-a', 'a b', 'x'.repeat(60)])
    t.throws(() => describeKubernetesJob({ ...JOB, name }), { code: 'ERR_USAGE' });
});

/** Another program reads the YAML, where there is one. */
function readBack(t: ExecutionContext, yaml: string, expected: unknown): void {
  const script = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)';
  if (!hasTool('python3')) return;
  let read: string;
  try {
    read = execFileSync('python3', ['-c', script], { input: yaml, encoding: 'utf8', stdio: 'pipe' });
  } catch {
    t.log('python3 has no yaml');
    return;
  }
  t.deepEqual(parseJson(read), expected);
}

/** What a schema of the API does not allow; `$ref` names another of `schemas`, and one that is missing allows all. */
function findFaults(
  schemas: Readonly<Record<string, unknown>>,
  schema: unknown,
  value: unknown,
  path: string,
): string[] {
  if (!isJsonObject(schema)) return [];
  const { $ref: ref, type, properties, items, required, additionalProperties: more, oneOf } = schema;
  if (typeof ref === 'string') return findFaults(schemas, schemas[ref], value, path);
  const any: readonly unknown[] = Array.isArray(oneOf) ? oneOf : [];
  if (any.length > 0 && !any.some(one => findFaults(schemas, one, value, path).length === 0))
    return [`${path} is none of the forms`];
  const types: readonly unknown[] = Array.isArray(type) ? type : type === undefined ? [] : [type];
  if (types.length > 0 && !types.some(name => isOfType(value, name)))
    return [`${path} is no ${String(types[0])}`];
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, at) => findFaults(schemas, items, item, `${path}[${at}]`));
  }
  if (!isJsonObject(value)) return [];
  const known = isJsonObject(properties) ? properties : {};
  const missing = (Array.isArray(required) ? required : []).filter(name => !(String(name) in value));
  const faults = Object.entries(value).flatMap(([name, item]) => {
    if (name in known) return findFaults(schemas, known[name], item, `${path}.${name}`);
    return more === false
      ? [`${path}.${name} is not known`]
      : findFaults(schemas, more, item, `${path}.${name}`);
  });
  return [...missing.map(name => `${path}.${String(name)} is missing`), ...faults];
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isJsonObject(value);
  return typeof value === type;
}
