/**
 * Whether a secret may be sent to an address: to the provider's own hosts, and to the address that the user gave on the
 * command line or in the environment, `given`. Manifests may come from anywhere, so an address that only a manifest
 * names gets none. Never over plain http, except to a given address on this machine itself.
 */
export function maySendSecret(
  url: string,
  { own, given }: { readonly own: readonly string[]; readonly given?: string | undefined },
): boolean {
  const { protocol, host, hostname } = new URL(url);
  if (given !== undefined && URL.canParse(given) && new URL(given).host === host) {
    return protocol === 'https:' || isThisMachine(hostname);
  }
  return protocol === 'https:' && own.some(name => hostname === name || hostname.endsWith(`.${name}`));
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}
