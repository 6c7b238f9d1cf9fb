import { access, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FileDigest, digestFile } from '../files/digest.ts';
import type { StageContext } from '../events.ts';
import { getMirror } from '../manifest/load.ts';
import type { Asset, Manifest, Source } from '../manifest/load.ts';
import { createHttpClient } from '../net/client.ts';
import type { HttpClient } from '../net/client.ts';
import { downloadFile } from '../net/download-file.ts';
import type { DownloadOptions } from '../net/download-file.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import type { RemoteFile } from '../net/remote-file.ts';
import { calculateRetryDelay, DEFAULT_RETRY, waitUnlessAborted } from '../net/retry-delay.ts';
import { createMirror } from '../mirrors/registry.ts';
import type { MirrorProvider } from '../mirrors/mirror.ts';
import { type Limit, makeLimit } from '../workers/limit.ts';
import { downloadPath, sourceShape } from './asset-files.ts';
import { sizeOf } from './check-content.ts';
import type { LockEntry } from './data-lock.ts';
import { makeFolder } from '../files/make-folder.ts';

export interface DownloaderOptions {
  readonly dataRoot: string;
  readonly manifest: Manifest;
  readonly connections?: number | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly context: StageContext;
  /** Retry and watchdog, for tests with other clocks. */
  readonly transfer?: Pick<DownloadOptions, 'retry' | 'watchdog'> | undefined;
}

export interface Downloaded {
  readonly paths: readonly [string, ...string[]];
  /** Of the only file. */
  readonly digest: FileDigest | undefined;
}

/** Brings the files of manifest sources below `.downloads`, one provider and one limit of requests a mirror. */
export class Downloader {
  readonly #options: DownloaderOptions;
  readonly #client: HttpClient;
  readonly #mirrors = new Map<string, { provider: MirrorProvider; limit: Limit }>();

  constructor(options: DownloaderOptions) {
    this.#options = options;
    this.#client = createHttpClient({ environment: options.environment });
  }

  close(): void {
    this.#client.close();
  }

  /** Throws MirrorFault where the mirror cannot give the files; what came so far stays for the next run. */
  async download(name: string, asset: Asset, source: Source, locked?: LockEntry): Promise<Downloaded> {
    const { provider } = this.#mirror(source.mirror);
    const path = join(this.#options.dataRoot, downloadPath(asset, source));
    const shape = sourceShape(asset, source);
    if (source.get === 'parts-member') {
      const { locateParts } = provider;
      if (locateParts === undefined) throw new MirrorFault('unsupported', 'this kind of mirror has no parts');
      const remotes = await this.#retry(() => locateParts(source.parts, shape));
      const paths: string[] = [];
      for (const { name: partName, remote } of remotes) {
        const part = join(path, basename(partName));
        await this.#obtain(name, source.mirror, remote, part);
        paths.push(part);
      }
      const [first, ...others] = paths;
      if (first === undefined) throw new MirrorFault('gone', 'the mirror lists no parts');
      return { paths: [first, ...others], digest: undefined };
    }
    const { path: file, id, link } = source;
    const found = await this.#retry(() => provider.locate({ location: { path: file, id, link }, shape }));
    const remote = withKnownFacts(found, asset, source, locked);
    return { paths: [path], digest: await this.#obtain(name, source.mirror, remote, path) };
  }

  /** Removes what `download` brought. */
  async discard(downloaded: Downloaded): Promise<void> {
    for (const path of downloaded.paths) await rm(path, { force: true });
  }

  /** A download that was complete before, but not yet in place, is not fetched again. */
  async #obtain(name: string, mirror: string, remote: RemoteFile, path: string): Promise<FileDigest> {
    const { context, transfer, connections } = this.#options;
    if ((await sizeOf(path)) !== undefined) {
      const digest = await digestFile(path, context.signal);
      const isSame =
        (remote.sizeBytes ?? digest.sizeBytes) === digest.sizeBytes &&
        (remote.sha256 ?? digest.sha256) === digest.sha256;
      if (isSame) return digest;
      await rm(path);
    }
    await makeFolder(join(path, '..'));
    await access(join(path, '..'));
    context.emit({ event: 'note', message: `${name}: from ${mirror}, ${remote.description}` });
    const { limit } = this.#mirror(mirror);
    return downloadFile(remote, {
      path,
      connections,
      signal: context.signal,
      ...transfer,
      limit,
      onNote: message => context.emit({ event: 'note', message: `${name}: ${message}` }),
      onProgress: (done, total) =>
        context.emit({
          event: 'progress',
          stage: 'fetch',
          input: name,
          done,
          total: total ?? done,
          unit: 'bytes',
        }),
    });
  }

  /** Listings are small and asked for whole: a failed one is simply asked for again. */
  async #retry<T>(ask: () => Promise<T>): Promise<T> {
    const policy = this.#options.transfer?.retry ?? DEFAULT_RETRY;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        const delayMs =
          error instanceof MirrorFault
            ? calculateRetryDelay(error, attempt, policy, Math.random())
            : undefined;
        if (delayMs === undefined) throw error;
        await waitUnlessAborted(delayMs, this.#options.context.signal);
      }
    }
  }

  #mirror(name: string): { provider: MirrorProvider; limit: Limit } {
    const known = this.#mirrors.get(name);
    if (known !== undefined) return known;
    const { manifest, environment, context } = this.#options;
    const mirror = getMirror(manifest, name);
    const provider = createMirror(name, mirror, {
      client: this.#client,
      environment,
      signal: context.signal,
      givenBase: manifest.given_bases?.[name],
    });
    const made = { provider, limit: makeLimit(mirror.max_connections ?? 8) };
    this.#mirrors.set(name, made);
    return made;
  }
}

/** What manifest and lock know of the file as it is downloaded; a download that differs is refused at once. */
function withKnownFacts(remote: RemoteFile, asset: Asset, source: Source, locked?: LockEntry): RemoteFile {
  const facts = knownFacts(asset, source, locked);
  const size = facts.find(fact => fact?.size !== undefined)?.size;
  const sha256 = facts.find(fact => fact?.sha256 !== undefined)?.sha256;
  if (size !== undefined && remote.sizeBytes !== undefined && size !== remote.sizeBytes) {
    const message = `the mirror has a file of ${remote.sizeBytes} bytes, expected ${size}`;
    throw new MirrorFault('wrong-size', message);
  }
  return { ...remote, sizeBytes: size ?? remote.sizeBytes, sha256: sha256 ?? remote.sha256 };
}

interface KnownFacts {
  readonly size?: number | undefined;
  readonly sha256?: string | undefined;
}

/** Those of the source come first; those of the asset hold where the source is the file itself and not an archive of it. */
function knownFacts(asset: Asset, source: Source, locked?: LockEntry): readonly (KnownFacts | undefined)[] {
  if (source.get !== 'file') return [source];
  return [source, asset.kind === 'features' ? undefined : asset, locked];
}
