import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { isErrno, LxmertDataError } from '../errors.ts';
import { getMirror, type Manifest } from '../manifest/load.ts';
import { homeOf } from '../mirrors/registry.ts';

const PROXIES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'] as const;
const MAX_LISTED = 4;

/**
 * Fails (ERR_FETCH) at once where this machine is offline: none of the hosts can be found, and the resolver says so itself
 * or there is no interface but the loopback. Where a proxy looks names up nothing is asked.
 */
export async function checkOnline(
  manifest: Manifest,
  mirrors: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  if (PROXIES.some(name => (environment[name] ?? '') !== '')) return;
  const homes = mirrors.map(name => homeOf(getMirror(manifest, name)));
  const hosts = [...new Set(homes.flatMap(home => (home === undefined ? [] : [new URL(home).hostname])))];
  if (hosts.length === 0) return;
  const answers = await Promise.all(hosts.map(findHost));
  const isCutOff = Object.values(networkInterfaces())
    .flat()
    .every(address => address?.internal !== false);
  if (!answers.every(answer => answer === 'unknown' || (answer === 'not found' && isCutOff))) return;
  throw new LxmertDataError('ERR_FETCH', {
    what: 'no network: none of the hosts can be found',
    got: hosts.slice(0, MAX_LISTED).join(', ') + (hosts.length > MAX_LISTED ? ', …' : ''),
    hint: 'connect this machine, or set HTTPS_PROXY; or download elsewhere and use fetch --from DIR: fetch --dry-run names the files',
  });
}

async function findHost(host: string): Promise<'found' | 'not found' | 'unknown'> {
  try {
    await lookup(host.replace(/^\[|\]$/g, ''));
    return 'found';
  } catch (error) {
    // The resolver itself cannot be asked.
    return isErrno(error, 'EAI_AGAIN') ? 'unknown' : 'not found';
  }
}
