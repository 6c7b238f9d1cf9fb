import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LxmertDataError } from '../../errors.ts';

export interface EngineTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Where a Docker engine listens. `label` is for people. */
export type EngineAddress = { readonly label: string } & (
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly tls: EngineTls | undefined;
    }
  | { readonly kind: 'ssh'; readonly destination: string; readonly port: string | undefined }
);

type Environment = Readonly<Record<string, string | undefined>>;

/** Finds the engine as Docker's own command does: DOCKER_HOST, DOCKER_CONTEXT, the current context, then the usual sockets. */
export function findEngineAddress(env: Environment = process.env, home = findHome(env)): EngineAddress {
  const folder = env['DOCKER_CONFIG'] ?? join(home, '.docker');
  const host = env['DOCKER_HOST'] ?? '';
  if (host !== '') return readHost(host, env, folder);
  const context = env['DOCKER_CONTEXT'] ?? readCurrentContext(folder) ?? '';
  if (context !== '' && context !== 'default') return readContext(folder, context);
  return findSocket(env, home);
}

/** A user without an entry in passwd has no home; its settings are those of nobody then. */
function findHome(env: Environment): string {
  try {
    return homedir();
  } catch {
    return env['HOME'] ?? '/nonexistent';
  }
}

/** Whether others on a network can read and change what is said to the engine: TCP without TLS, beyond this machine. */
export function isOpenToNetwork(address: EngineAddress): boolean {
  if (address.kind !== 'tcp' || address.tls !== undefined) return false;
  return !/^(localhost|(.+\.)?localhost|127(\.\d+){3}|\[::1\])$/i.test(address.host);
}

function readHost(host: string, env: Environment, folder: string): EngineAddress {
  const isSet = (name: string): boolean => (env[name] ?? '') !== '';
  const verify = isSet('DOCKER_TLS_VERIFY') || isSet('DOCKER_TLS');
  const certificates = env['DOCKER_CERT_PATH'] ?? folder;
  return parseHost(host, `DOCKER_HOST ${host}`, secure =>
    verify || secure ? readTls(certificates) : undefined,
  );
}

/** The first of the usual sockets that exists; the first of all where none does, so that an error names it. */
function findSocket(env: Environment, home: string): EngineAddress {
  const paths =
    process.platform === 'win32'
      ? ['//./pipe/docker_engine']
      : [
          '/var/run/docker.sock',
          join(home, '.docker', 'run', 'docker.sock'),
          ...(env['XDG_RUNTIME_DIR'] === undefined ? [] : [join(env['XDG_RUNTIME_DIR'], 'docker.sock')]),
        ];
  const path = paths.find(existsSync) ?? paths[0] ?? '';
  return { kind: 'socket', path, label: path };
}

function readCurrentContext(folder: string): string | undefined {
  try {
    const { currentContext } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
      currentContext?: unknown;
    };
    return typeof currentContext === 'string' ? currentContext : undefined;
  } catch {
    return undefined;
  }
}

function readContext(folder: string, name: string): EngineAddress {
  const key = createHash('sha256').update(name).digest('hex');
  const path = join(folder, 'contexts', 'meta', key, 'meta.json');
  const label = `Docker context ${name}`;
  let host: unknown;
  try {
    const meta = JSON.parse(readFileSync(path, 'utf8')) as { Endpoints?: { docker?: { Host?: unknown } } };
    host = meta.Endpoints?.docker?.Host;
  } catch (cause) {
    throw new LxmertDataError('ERR_ENGINE', {
      what: 'there is no such Docker context',
      where: name,
      hint: '`docker context ls` lists them; DOCKER_CONTEXT or `docker context use` chooses one',
      cause,
    });
  }
  if (typeof host !== 'string')
    throw new LxmertDataError('ERR_ENGINE', { what: `${label} names no engine`, where: path });
  const certificates = join(folder, 'contexts', 'tls', key, 'docker');
  return parseHost(host, `${label} (${host})`, () =>
    existsSync(certificates) ? readTls(certificates) : undefined,
  );
}

function readTls(folder: string): EngineTls {
  const read = (name: string): Buffer | undefined => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path) : undefined;
  };
  const [ca, cert, key] = [read('ca.pem'), read('cert.pem'), read('key.pem')];
  if (ca === undefined && cert === undefined) {
    throw new LxmertDataError('ERR_ENGINE', {
      what: 'the engine is to be reached with TLS, but there are no certificates',
      where: folder,
      expected: 'ca.pem, cert.pem, key.pem',
      hint: 'set DOCKER_CERT_PATH to their folder',
    });
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function parseHost(
  host: string,
  label: string,
  tlsFor: (secure: boolean) => EngineTls | undefined,
): EngineAddress {
  const [, scheme, rest = ''] = /^([a-z]+):\/\/(.*)$/.exec(host) ?? [];
  if (scheme === 'unix' || scheme === 'npipe') return { kind: 'socket', path: rest, label };
  const url = URL.parse(scheme === undefined ? '' : host.replace(/^[a-z]+/, 'http'));
  if (url === null || url.hostname === '') throw unknownAddress(label);
  if (scheme === 'ssh') {
    const user = url.username === '' ? '' : `${decodeURIComponent(url.username)}@`;
    return { kind: 'ssh', destination: user + url.hostname, port: url.port || undefined, label };
  }
  const tls = tlsFor(scheme === 'https' || url.port === '2376');
  return { kind: 'tcp', host: url.hostname, port: portOf(url, rest, tls !== undefined), tls, label };
}

function unknownAddress(where: string): LxmertDataError {
  return new LxmertDataError('ERR_ENGINE', {
    what: 'this address of a Docker engine is not understood',
    where,
    expected: 'unix:///var/run/docker.sock, tcp://HOST:PORT or ssh://USER@HOST',
  });
}

/** The port of a TCP address, or Docker's own where it names none. */
function portOf({ port }: URL, rest: string, secure: boolean): number {
  if (port !== '') return Number(port);
  // URL drops the default port of http.
  if (/:80(\/|$)/.test(rest)) return 80;
  return secure ? 2376 : 2375;
}
