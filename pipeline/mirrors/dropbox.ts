import { v } from '../schema.ts';
import { CookieJar } from '../net/client.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { redactUrl } from '../net/redact-url.ts';
import { mirrorFields } from './fields.ts';
import { defineMirrorKind } from './mirror.ts';

/** Shared links of Dropbox. Each request follows the link again: the address it leads to is short-lived. */
export const dropbox = defineMirrorKind({
  provider: 'dropbox',
  home: 'https://www.dropbox.com/',
  schema: v.strictObject({ provider: v.literal('dropbox'), ...mirrorFields }),
  create: (name, entry, context) => ({
    locate: async ({ location: { link }, shape }) => {
      if (link === undefined) throw new MirrorFault('unsupported', 'Dropbox needs a link');
      const url = directLink(link, entry.base);
      return await Promise.resolve({
        identity: `${name} ${link}`,
        description: redactUrl(link),
        shape,
        maxConnections: 1,
        open: ({ headers, signal }) =>
          context.client.request({
            url,
            headers,
            signal,
            allowHttp: entry.allow_http,
            cookies: new CookieJar(),
          }),
        explainPage: explainDropboxPage,
      });
    },
  }),
});

/** The same link asking for the file (dl=1) and not for the page around it; `rlkey` and the like stay. */
export function directLink(link: string, base?: string): string {
  const url = new URL(link);
  url.searchParams.set('dl', '1');
  url.searchParams.delete('raw');
  return base === undefined ? url.href : new URL(`${url.pathname.slice(1)}${url.search}`, base).href;
}

export function explainDropboxPage(text: string, status: number): MirrorFault | undefined {
  if (status === 429 || status === 509 || /link is temporarily disabled|daily limit/i.test(text)) {
    return new MirrorFault('quota', 'the Dropbox link is over its daily limit, for about 24 hours');
  }
  if (status === 404 || /item was deleted|couldn.t find|can.t find/i.test(text)) {
    return new MirrorFault('gone', 'Dropbox no longer has the file');
  }
  if (status === 460 || status === 403) return new MirrorFault('forbidden', 'the Dropbox link is restricted');
  if (status === 200)
    return new MirrorFault('not-the-file', 'Dropbox sends its preview page instead of the file');
  return undefined;
}
