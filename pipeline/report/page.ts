import { TOOL_VERSION } from '../version.ts';
import type { PageAssets } from './assets.ts';
import { type Html, html, jsonIsland } from './html.ts';
import type { PageData, PageIndex } from './page-data.ts';
import { showAll } from '../show-text.ts';

export interface PageHead {
  /** What the page is of: a store's name, `Datasets`. */
  readonly title: string;
  /** One line under the title. */
  readonly about: Html;
}

/** Everything of a page before its content. */
export function startPage({ style, policy }: PageAssets, head: PageHead): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="lxmert-data ${TOOL_VERSION}">
<title>${showAll(head.title)}</title>
${style}
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="masthead">
<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
<rect x="2" y="6" width="18" height="20" rx="3"/><rect x="11" y="2" width="19" height="16" rx="3"/><rect x="14" y="13" width="14" height="16" rx="3"/>
</svg>
<div class="masthead-text"><h1><bdi>${showAll(head.title)}</bdi></h1><p>${head.about}</p></div>
<button type="button" id="help" class="quiet-button" aria-haspopup="dialog" title="Keyboard (?)" hidden>?</button>
<button type="button" id="theme" class="quiet-button" hidden>Dark</button>
</header>
<main id="content">
`;
}

/** What the grid of a page shows: the index first, then one island for each image. */
export interface PageContent {
  readonly index: PageIndex;
  readonly islands: readonly Html[];
}

/**
 * Everything of a page behind its content. The script comes before the images, so that the grid is drawn while the rest of
 * a large page is still being read.
 */
export function* endPage({ script }: PageAssets, data: PageData, content?: PageContent): Generator<Html> {
  yield html`</main>
<footer><p>Made by lxmert-data ${TOOL_VERSION}. This file is complete: it loads nothing and sends nothing.</p></footer>
${jsonIsland('page-data', data)}
${content !== undefined && jsonIsland('page-index', content.index)}
${script}
`;
  for (const island of content?.islands ?? [])
    yield html`${island}
`;
  yield html`</body>
</html>
`;
}

/** A list of names and values. */
export function factList(facts: readonly (readonly [name: string, value: Html | string])[]): Html {
  const entries = facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return html`<dl class="facts">${entries}</dl>`;
}

export interface Tile {
  readonly value: string;
  readonly label: string;
  readonly tone?: 'plain' | 'good' | 'warn' | 'bad';
  /** Filter of the page that shows what was counted, such as `finding=bad`. */
  readonly filter?: string | undefined;
}

/** Large numbers that sum up the state. */
export function tileRow(tiles: readonly Tile[]): Html {
  const items = tiles.map(({ value, label, tone, filter }) => {
    const content = html`<strong>${value}</strong> <span>${label}</span>`;
    const inner =
      filter === undefined ? content : html`<a href="${`#${filter}`}" data-filter="finding">${content}</a>`;
    return html`<li class="tile ${tone ?? 'plain'}">${inner}</li>`;
  });
  return html`<ul class="tiles">${items}</ul>`;
}

export function notice(text: Html | string): Html {
  return html`<p class="notice">${text}</p>`;
}
