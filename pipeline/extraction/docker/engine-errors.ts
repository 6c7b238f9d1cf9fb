import { isErrno, LxmertDataError } from '../../errors.ts';

type Explanation = readonly [pattern: RegExp, what: string, hint: string];

export const NO_SHELL = 'the image has no shell (/bin/sh) to start the extractor with';

/** Usual failures of engines, and what to do about each. */
const EXPLANATIONS: readonly Explanation[] = [
  [
    /could not select device driver|unknown runtime.*nvidia|Unknown runtime specified nvidia|CDI device injection failed/i,
    'the engine cannot give GPUs to containers',
    'install the NVIDIA Container Toolkit and restart the engine; or --gpus none (slow), or --backend embedded',
  ],
  [
    /nvidia-container-cli|driver error|nvml|libnvidia-ml|no NVIDIA GPU device|unknown device/i,
    'the NVIDIA driver did not give the container its GPU',
    '`nvidia-smi` must work on the machine of the engine, and list the GPUs that --gpus names',
  ],
  [
    /bind source path does not exist|invalid mount config.*bind|mounts denied|is not shared from/i,
    'the engine cannot see a folder that is needed',
    'where the engine runs on another machine or in a virtual machine, images, weights and data must lie at the same place there',
  ],
  [
    /manifest unknown|not found: manifest|repository does not exist|pull access denied|requested access to the resource is denied|unauthorized/i,
    'the registry does not give out this image',
    'look at the name given with --image; for a private one `docker login` and `docker pull` it first',
  ],
  [
    /no such host|dial tcp|i\/o timeout|TLS handshake timeout|connection refused|network is unreachable|Client\.Timeout|server misbehaving|x509|lookup .* on|proxyconnect/i,
    'the image is not here, and the engine cannot reach a registry to fetch it',
    'where there is a network, `docker pull` and `docker save` it, then `docker load` it here',
  ],
  [
    /exec: "\/bin\/sh"|\/bin\/sh: no such file or directory/,
    NO_SHELL,
    'give --image an image with a shell and Python, or one labelled lxmert-data.extractor',
  ],
  [
    /no space left on device/i,
    'the disk of the engine is full',
    '`docker system df` shows what takes the room',
  ],
  [
    /client version .* is too new|client version .* is too old/i,
    'the engine does not speak our version of its API',
    'update Docker to 19.03 or newer',
  ],
];

const GONE = 'the Docker engine went away';
const NO_ANSWER = 'no Docker engine answers here';

/** Whether an error means that the engine does not answer now, as while it restarts. */
export function isEngineGone(error: unknown): boolean {
  return error instanceof LxmertDataError && [GONE, NO_ANSWER].includes(error.parts.what);
}

/** Turns an error of an engine, or of the connection to it, into one clear message. */
export function explainEngineError(error: unknown, where: string): LxmertDataError {
  if (error instanceof LxmertDataError) return error;
  const make = (what: string, hint: string | undefined): LxmertDataError =>
    new LxmertDataError('ERR_ENGINE', { what, where, got: textOf(error), hint, cause: error });
  if (isErrno(error, 'EACCES', 'EPERM')) {
    return make(
      'you may not talk to the Docker engine',
      'join its group (`sudo usermod -aG docker $USER`, then log in again), or use a rootless engine',
    );
  }
  if (isErrno(error, 'ENOENT', 'ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT', 'EAI_AGAIN')) {
    return make(NO_ANSWER, 'start Docker, or name an engine with DOCKER_HOST; --backend embedded needs none');
  }
  if (isErrno(error, 'ECONNRESET', 'EPIPE') || /socket hang up|aborted/.test(textOf(error))) {
    return make(GONE, 'start it again, then run the same command: it goes on where it stopped');
  }
  const text = textOf(error);
  if (text.startsWith('ssh:'))
    return make(
      'the machine of the engine cannot be reached',
      'see that `ssh` to it works without a password',
    );
  const known = EXPLANATIONS.find(([pattern]) => pattern.test(text));
  return known === undefined ? make('the Docker engine refused', undefined) : make(known[1], known[2]);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { json } = error as { json?: { message?: unknown } | null };
  return typeof json?.message === 'string' ? json.message.trim() : error.message.trim();
}
