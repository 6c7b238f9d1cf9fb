/** A URL for messages and logs: without credentials, and without the query, where signatures and keys travel. */
export function redactUrl(url: string | URL): string {
  if (!URL.canParse(String(url))) return 'an invalid URL';
  const { protocol, host, pathname, search } = new URL(url);
  return `${protocol}//${host}${pathname}${search === '' ? '' : '?…'}`;
}
