import { type HtmlElement, parsePage } from '../html-document.ts';
import { MirrorFault } from '../net/mirror-fault.ts';

export interface DriveEntry {
  readonly id: string;
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'document';
  readonly resourceKey?: string | undefined;
}

const KINDS: readonly (readonly [DriveEntry['kind'], RegExp])[] = [
  ['file', /\/file\/d\/([-\w]+)/],
  ['folder', /\/drive\/folders\/([-\w]+)/],
  ['document', /^https:\/\/docs\.google\.com\/\w+\/d\/([-\w]+)/],
];

/** The children of a folder in Drive's embedded view, or undefined where the page is no folder view. */
export function parseFolderView(html: string): readonly DriveEntry[] | undefined {
  const page = parsePage(html);
  if (page.querySelector('.flip-entries, #flip-contents, .flip-contents') === null) return undefined;
  return [...page.querySelectorAll('.flip-entry')].flatMap((entry): DriveEntry[] => {
    const href = entry.querySelector('a[href]')?.getAttribute('href') ?? '';
    const name = textOf(entry, '.flip-entry-title');
    for (const [kind, pattern] of KINDS) {
      const id = pattern.exec(href)?.[1];
      if (id === undefined) continue;
      const resourceKey = URL.canParse(href) ? new URL(href).searchParams.get('resourcekey') : null;
      return [{ id, name, kind, ...(resourceKey === null ? {} : { resourceKey }) }];
    }
    return [];
  });
}

/** True where the view says that it does not show everything. */
export function isPartialFolderView(html: string): boolean {
  return parsePage(html).querySelector('[rel=next], .flip-next-page') !== null;
}

/**
 * The address behind "Download anyway" of the virus-scan page: the form's action with all its hidden fields, whatever
 * they are. Undefined where the page has no such form.
 */
export function parseConfirmForm(html: string, pageUrl: string): string | undefined {
  const page = parsePage(html);
  const form = page.querySelector('#download-form');
  const action = resolveLink(form?.getAttribute('action'), pageUrl);
  if (form === null || action === undefined)
    return resolveLink(page.querySelector('a[href*="confirm="]')?.getAttribute('href'), pageUrl)?.href;
  for (const input of form.querySelectorAll('input[type=hidden]')) {
    const name = input.getAttribute('name');
    if (name !== null) action.searchParams.set(name, input.getAttribute('value') ?? '');
  }
  return action.href;
}

function resolveLink(link: string | null | undefined, base: string): URL | undefined {
  return (link ?? '') === '' ? undefined : (URL.parse(link ?? '', base) ?? undefined);
}

/** Why Drive sends a page instead of a file; undefined for the virus-scan page, which is no refusal. */
export function explainDrivePage(html: string, status: number, url: string): MirrorFault | undefined {
  const page = parsePage(html);
  const title = textOf(page, 'title');
  const reason = readReason(page);
  const quoted = reason === '' ? title : reason;
  if (/quota exceeded/i.test(title) || /too many users|exceeded.*quota|download quota/i.test(reason)) {
    return new MirrorFault('quota', `over Google Drive's download quota, for about 24 hours ("${quoted}")`);
  }
  if (page.querySelector('#download-form, .uc-warning-caption, #uc-download-link') !== null) return undefined;
  if (/accounts\.google\.com|ServiceLogin/.test(url) || /ServiceLogin/.test(html.slice(0, 100_000))) {
    return new MirrorFault('sign-in', 'Google Drive asks to sign in: the file is not shared with everybody');
  }
  if (/automated queries|unusual traffic/i.test(html)) {
    return new MirrorFault(
      'forbidden',
      'Google takes this network for a robot; try later or from another network',
    );
  }
  if (status === 404) return new MirrorFault('gone', `Google Drive does not have the file ("${quoted}")`);
  if (reason !== '') return new MirrorFault('forbidden', `Google Drive: ${reason}`);
  return undefined;
}

function textOf(element: HtmlElement, selector: string): string {
  return element.querySelector(selector)?.textContent?.trim() ?? '';
}

function readReason(page: HtmlElement): string {
  return ['.uc-error-caption', '.uc-error-subcaption']
    .map(selector => textOf(page, selector).replace(/\s+/g, ' '))
    .filter(text => text !== '')
    .join(' ');
}
