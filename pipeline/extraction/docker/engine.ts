import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { errorText } from '../../errors.ts';
import type { EngineAddress } from './engine-address.ts';
import { explainEngineError } from './engine-errors.ts';
import { SshAgent } from './ssh-agent.ts';

export type ContainerBody = Omit<Docker.ContainerCreateOptions, 'name' | 'platform'>;

export interface EngineFacts {
  readonly version: string;
  /** Such as 1.41. */
  readonly apiVersion: string;
  readonly osType: string;
  /** Of the engine's machine. */
  readonly memoryBytes: number;
  readonly runtimes: readonly string[];
  readonly securityOptions: readonly string[];
}

export interface EngineImage {
  /** Digest of the registry, or the image's own id where it came from none. */
  readonly digest: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A started container: `stream` carries its standard input in, and its output out (multiplexed). */
export interface AttachedContainer {
  readonly id: string;
  readonly stream: NodeJS.ReadWriteStream;
}

export interface ContainerState {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** The engine's error for a failed start or end. */
  readonly error: string;
}

const END_ATTEMPTS = 100;
const ANSWER_INTERVAL_MS = 500;
const END_INTERVAL_MS = 100;

interface PullEvent {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** What we use of a Docker engine. All failures are explained (ERR_ENGINE). */
export class Engine {
  readonly address: EngineAddress;
  readonly #docker: Docker;
  readonly #unremoved = new Set<string>();

  constructor(address: EngineAddress) {
    this.address = address;
    this.#docker = new Docker(dockerOptions(address));
  }

  async readFacts(): Promise<EngineFacts> {
    return await this.#explained(async () => {
      const version = await this.#docker.version();
      const info = (await this.#docker.info()) as {
        Runtimes?: Record<string, unknown>;
        SecurityOptions?: string[] | null;
        OSType?: string;
        MemTotal?: number;
      };
      return {
        version: version.Version,
        apiVersion: version.ApiVersion,
        osType: info.OSType ?? version.Os,
        memoryBytes: info.MemTotal ?? Infinity,
        runtimes: Object.keys(info.Runtimes ?? {}),
        securityOptions: info.SecurityOptions ?? [],
      };
    });
  }

  async findImage(name: string): Promise<EngineImage | undefined> {
    return await this.#explained(async () => {
      try {
        const image = await this.#docker.getImage(name).inspect();
        // The type declarations require it, but some engines leave it out.
        const digests = image.RepoDigests as string[] | null;
        const config = image.Config as { Labels?: Record<string, string> | null } | null;
        return { digest: digests?.[0] ?? image.Id, labels: config?.Labels ?? {} };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  /** Fetches an image; `onProgress` gets the bytes of all its layers so far. */
  async pullImage(
    name: string,
    onProgress: (done: number, total: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#explained(async () => {
      const stream = await this.#docker.pull(name, { abortSignal: signal });
      const layers = new Map<string, { done: number; total: number }>();
      for await (const line of readLines(stream)) {
        if (line.trim() === '') continue;
        const event = JSON.parse(line) as PullEvent;
        // A failed pull is reported in the stream; the request itself has succeeded by then.
        if (event.error !== undefined) throw new Error(event.error);
        const { current, total } = event.progressDetail ?? {};
        if (event.status !== 'Downloading' || event.id === undefined || total === undefined) continue;
        layers.set(event.id, { done: current ?? 0, total });
        const sum = (key: 'done' | 'total'): number =>
          layers.values().reduce((all, layer) => all + layer[key], 0);
        onProgress(sum('done'), sum('total'));
      }
    });
  }

  /** Creates a container, attaches to it, then starts it, so that no output is missed. */
  async startContainer(name: string, body: ContainerBody, signal?: AbortSignal): Promise<AttachedContainer> {
    try {
      return await this.#startContainer(name, body, signal);
    } catch (error) {
      // Some engines come without the program that init is.
      if (body.HostConfig?.Init !== true || !/docker-init/.test(errorText(error))) throw error;
      return await this.#startContainer(
        name,
        { ...body, HostConfig: { ...body.HostConfig, Init: false } },
        signal,
      );
    }
  }

  async #startContainer(name: string, body: ContainerBody, signal?: AbortSignal): Promise<AttachedContainer> {
    return await this.#explained(async () => {
      signal?.throwIfAborted();
      // Without _query and _body all of it would also stand in the URL.
      const request = { _query: { name }, _body: body } as unknown as Docker.ContainerCreateOptions;
      const container = await this.#docker.createContainer(request);
      try {
        const stream = await container.attach({
          stream: true,
          hijack: true,
          stdin: true,
          stdout: true,
          stderr: true,
        });
        stream.on('error', () => undefined);
        signal?.throwIfAborted();
        await container.start();
        return { id: container.id, stream };
      } catch (error) {
        await this.removeInTheEnd(container.id);
        throw error;
      }
    });
  }

  /** How a container ended whose output has ended; undefined where it still runs after a while. */
  async readEnd(id: string): Promise<ContainerState | undefined> {
    return await this.#explained(async () => {
      // The engine's wait call answers when the container ends; dockerode does not report an engine that dies before.
      for (let attempt = 0; attempt < END_ATTEMPTS; attempt++) {
        const { State: state } = await this.#docker.getContainer(id).inspect();
        if (!state.Running)
          return { exitCode: state.ExitCode, oomKilled: state.OOMKilled, error: state.Error };
        await delay(END_INTERVAL_MS);
      }
      return undefined;
    });
  }

  /** Waits until the engine answers, as after a restart of it, and removes what could not be removed meanwhile. */
  async waitForAnswer(seconds: number, signal: AbortSignal, note: () => void): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#explained(async (): Promise<unknown> => await this.#docker.ping());
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (Date.now() > deadline) throw error;
        if (attempt === 0) note();
      }
      await delay(ANSWER_INTERVAL_MS, undefined, { signal });
    }
    for (const id of this.#unremoved) await this.removeContainer(id);
  }

  /** Removes a container now or, where the engine does not answer, when it answers again. */
  async removeInTheEnd(id: string): Promise<void> {
    this.#unremoved.add(id);
    await this.removeContainer(id).catch(() => undefined);
  }

  /** Ends and removes a container; one that is gone already is as good. */
  async removeContainer(id: string): Promise<void> {
    await this.#explained(async () => {
      const container = this.#docker.getContainer(id);
      try {
        await container.remove({ force: true, v: true });
      } catch (error) {
        const status = statusOf(error);
        // 409: it is being removed already, which takes its time.
        if (status === 409) await waitUntilGone(container);
        else if (status !== 404) throw error;
      }
      this.#unremoved.delete(id);
    });
  }

  async listContainers(label: string): Promise<readonly ListedContainer[]> {
    return await this.#explained(async () => {
      const found = await this.#docker.listContainers({ all: true, filters: { label: [label] } });
      return found.map(({ Id: id, Names: names, Labels: labels }) => ({ id, name: names[0] ?? id, labels }));
    });
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explainEngineError(error, this.address.label);
    }
  }
}

async function waitUntilGone(container: Docker.Container): Promise<void> {
  for (let attempt = 0; attempt < END_ATTEMPTS; attempt++) {
    try {
      await container.inspect();
    } catch (error) {
      if (statusOf(error) === 404) return;
      throw error;
    }
    await delay(END_INTERVAL_MS);
  }
}

/** Lines of an answer; fails where it breaks off, which readline does not report. */
async function* readLines(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const text of stream as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}

function dockerOptions(address: EngineAddress): Docker.DockerOptions {
  // What is not named here would be taken from the environment.
  const none = { host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined };
  switch (address.kind) {
    case 'socket':
      return { ...none, socketPath: address.path, protocol: 'http' };
    case 'tcp':
      return {
        ...none,
        ...address.tls,
        host: address.host,
        port: address.port,
        protocol: address.tls === undefined ? 'http' : 'https',
      };
    case 'ssh': {
      const agent = new SshAgent(address.destination, address.port);
      return { ...none, host: 'docker', port: 80, protocol: 'http', agent } as Docker.DockerOptions;
    }
  }
}
