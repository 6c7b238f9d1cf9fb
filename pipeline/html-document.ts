import { createRequire } from 'node:module';

// Loaded when the first page is seen: it takes a quarter of a second, and most commands and all threads never see one.
const require = createRequire(import.meta.url);

/** The one place that names the HTML library: pages of mirrors are read with it. */

/** What is used of an element; the library's own types are those of a browser. */
export interface HtmlElement {
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
  querySelector(selector: string): HtmlElement | null;
  querySelectorAll(selector: string): Iterable<HtmlElement>;
}

/** Reads a page, however broken it is; scripts are not run and nothing is loaded. */
export function parsePage(html: string): HtmlElement {
  // A page without any element would have no document to search.
  return documentOf(`<html>${html}</html>`);
}

/** Title of an HTML page of which `text` is the beginning; undefined where it has none. */
export function titleOf(text: string): string | undefined {
  const title = parsePage(text).querySelector('title')?.textContent?.trim() ?? '';
  return title === '' ? undefined : title;
}

function documentOf(html: string): HtmlElement {
  const { parseHTML } = require('linkedom') as { parseHTML: (text: string) => unknown };
  return (parseHTML(html) as { readonly document: HtmlElement }).document;
}
