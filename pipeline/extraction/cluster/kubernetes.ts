import { LxmertDataError } from '../../errors.ts';

/** Seconds after which the pod of a lost node is replaced, and a worker has to sync its rows. */
const LOST_SECONDS = 60;
const GRACE_SECONDS = 60;
const BACKOFF = 3;

export interface KubernetesJob {
  readonly name: string;
  /** Image that has this tool as its entry point. */
  readonly image: string;
  /** Claim that all pods may write to, and where it is mounted; plan, images and weights are below. */
  readonly claim: string;
  readonly mount: string;
  /** X.rows, as the pods see it. */
  readonly folder: string;
  readonly workers: number;
  readonly atOnce: number;
  readonly gpus: number;
  readonly cpus?: string | undefined;
  readonly memory?: string | undefined;
}

/**
 * An Indexed Job, as `kubectl apply` takes it. It has no policy for pod failures and none for replacements: with them
 * the index of a lost node is not started again. Two pods of one index do no harm.
 */
export function describeKubernetesJob(job: KubernetesJob): Readonly<Record<string, unknown>> {
  const { name, image, claim, mount, folder, workers, atOnce, gpus, cpus, memory } = job;
  if (!/^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$/.test(name))
    throw wrong('name of the job', 'a-z, 0-9 and -, at most 53', name);
  if (workers < 1 || atOnce < 1) throw wrong('--workers', 'one or more', String(workers));
  const limits = {
    ...(cpus === undefined ? {} : { cpu: cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpus === 0 ? {} : { 'nvidia.com/gpu': String(gpus) }),
  };
  const tolerate = (key: string): object => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: LOST_SECONDS,
  });
  const container = {
    name: 'worker',
    image,
    args: ['extract', '--plan', folder, '--worker', String(workers), '--job', name],
    volumeMounts: [{ name: 'shared', mountPath: mount }],
    ...(Object.keys(limits).length === 0 ? {} : { resources: { requests: limits, limits } }),
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      completionMode: 'Indexed',
      completions: workers,
      parallelism: Math.min(atOnce, workers),
      backoffLimitPerIndex: BACKOFF,
      maxFailedIndexes: workers,
      template: {
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: GRACE_SECONDS,
          tolerations: [tolerate('node.kubernetes.io/not-ready'), tolerate('node.kubernetes.io/unreachable')],
          containers: [container],
          volumes: [{ name: 'shared', persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  };
}

/** Writes plain data as YAML: strings as JSON has them, which YAML reads too. */
export function toYaml(value: unknown, indent = ''): string {
  if (Array.isArray(value))
    return value.map((item: unknown) => `${indent}- ${nested(item, `${indent}  `)}`).join('');
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(
        ([key, item]) =>
          `${indent}${/^[\w./-]+$/.test(key) ? key : JSON.stringify(key)}:${member(item, indent)}`,
      )
      .join('');
  }
  return `${indent}${scalar(value)}\n`;
}

function nested(item: unknown, indent: string): string {
  return isCollection(item) ? toYaml(item, indent).slice(indent.length) : `${scalar(item)}\n`;
}

function member(item: unknown, indent: string): string {
  return isCollection(item) ? `\n${toYaml(item, `${indent}  `)}` : ` ${scalar(item)}\n`;
}

function isCollection(item: unknown): boolean {
  return typeof item === 'object' && item !== null;
}

function scalar(value: unknown): string {
  // Words that YAML takes for strings only; everything else in quotes.
  const isPlain = typeof value === 'string' && /^[A-Za-z][A-Za-z0-9/._-]*$/.test(value);
  const isWord = isPlain && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value);
  return isWord ? value : JSON.stringify(value);
}

function wrong(name: string, expected: string, got: string): LxmertDataError {
  return new LxmertDataError('ERR_USAGE', { what: `${name} does not fit Kubernetes`, expected, got });
}
