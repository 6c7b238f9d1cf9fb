import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Html, inlineAsset } from './html.ts';

const FOLDER = new URL('browser/', import.meta.url);

/** Modules of the browser side, each behind those that it imports from. */
const SCRIPTS = [
  'dom.js',
  'theme.js',
  'copy.js',
  'help.js',
  'scroll-sign.js',
  'colours.js',
  'labels.js',
  'stage.js',
  'zoom.js',
  'box-table.js',
  'selection.js',
  'image-card.js',
  'pair-card.js',
  'state.js',
  'index.js',
  'filter.js',
  'thumbnail.js',
  'cell.js',
  'grid.js',
  'side.js',
  'viewer.js',
  'page.js',
];

export interface PageAssets {
  readonly style: Html;
  readonly script: Html;
  /** Content security policy: nothing is loaded, and nothing runs but the two texts above. */
  readonly policy: string;
}

/** Style and script of a page as they are put into it. */
export async function loadAssets(): Promise<PageAssets> {
  const style = await readFile(new URL('page.css', FOLDER), 'utf8');
  const modules = await Promise.all(
    SCRIPTS.map(async name => [name, await readFile(new URL(name, FOLDER), 'utf8')] as const),
  );
  const script = joinModules(modules);
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${sourceHash(style)}`,
    `script-src ${sourceHash(script)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return {
    style: inlineAsset('style', style),
    script: inlineAsset('script', script),
    policy: policy.join('; '),
  };
}

/** A page is one file, so each module becomes a function that returns what it exports. */
function joinModules(modules: readonly (readonly [name: string, text: string])[]): string {
  const functions = modules.map(([name, text]) => {
    const exported = [...text.matchAll(/^export (?:function|const|class) (\w+)/gm)].map(match => match[1]!);
    const body = text
      .replace(
        /^import (\{[^}]*\}) from '\.\/([^']+)';$/gm,
        (_, names: string, from: string) => `const ${names} = modules['${from}'];`,
      )
      .replace(/^export /gm, '');
    return `modules['${name}'] = (() => {\n${body}\nreturn { ${exported.join(', ')} };\n})();\n`;
  });
  return `'use strict';\nconst modules = {};\n${functions.join('')}`;
}

function sourceHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
