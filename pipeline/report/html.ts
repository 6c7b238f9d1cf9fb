/*
 * HTML by template. Every value is escaped for the place where it stands, and a place where escaping could not make it harmless (inside
 * of a script, an unquoted attribute, an event handler, a style, a link to anywhere) is refused when the template is first used.
 */

const MARKUP = Symbol('markup');

/** Finished HTML; only this module makes it. */
export interface Html {
  readonly [MARKUP]: string;
}

export type HtmlValue = Html | string | number | false | undefined | readonly HtmlValue[];

type Place = 'text' | 'attribute' | 'address';

const places = new WeakMap<TemplateStringsArray, readonly Place[]>();

/** A piece of HTML; values become text or attribute values, pieces stay pieces, lists are joined, `undefined` and `false` vanish. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let known = places.get(strings);
  if (known === undefined) places.set(strings, (known = findPlaces(strings)));
  const parts = strings.map((text, index) => {
    const place = known[index - 1];
    return place === undefined ? text : show(values[index - 1], place) + text;
  });
  return { [MARKUP]: parts.join('') };
}

/** Text of finished HTML, for writing. */
export function markupOf(piece: Html): string {
  return piece[MARKUP];
}

/**
 * A JSON island: no `<` can end its element, nothing in it is a line end to JavaScript, and no character makes a browser keep
 * the text in two bytes each.
 */
export function jsonIsland(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replace(
    /[<>&\u0100-\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return { [MARKUP]: `<script type="application/json" id="${escapeText(id)}">${json}</script>` };
}

/** A script or style of this program itself; fails where its text could end its element. */
export function inlineAsset(element: 'script' | 'style', text: string): Html {
  if (/<\/(script|style)|<!--/i.test(text))
    throw new TypeError(`${element} holds the end of its own element`);
  return { [MARKUP]: `<${element}>${text}</${element}>` };
}

function show(value: HtmlValue, place: Place): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return place === 'address' ? showAddress(value) : escapeText(value);
  if (isList(value)) return value.map(item => show(item, place)).join('');
  if (place !== 'text') throw new TypeError('HTML cannot stand in an attribute');
  return value[MARKUP];
}

function isList(value: HtmlValue): value is readonly HtmlValue[] {
  return Array.isArray(value);
}

function escapeText(text: string): string {
  return text.replace(/[&<>"'`]/g, char => `&#${char.charCodeAt(0)};`);
}

/** A link out of the page, which a reader may follow; the page itself loads nothing from there. */
export function outwardLink(address: string, text: string): Html {
  const url = URL.parse(address);
  if (url?.protocol !== 'https:') throw new TypeError('a link out of the page must be https');
  return {
    [MARKUP]: `<a href="${escapeText(url.href)}" rel="noopener noreferrer">${escapeText(text)}</a>`,
  };
}

/** Pages load nothing: an address is a place in the page or a picture inside of it. */
function showAddress(address: string): string {
  if (!/^(#[\w=&.,%~!*'()+-]*$|data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/=]*$)/.test(address))
    throw new TypeError('an address must stay inside of the page');
  return escapeText(address);
}

/** Where each value of a template stands, read off the literal text before it. */
function findPlaces(strings: readonly string[]): readonly Place[] {
  let before = '';
  return strings.slice(0, -1).map(part => {
    before += part;
    const place = placeBehind(before);
    before += place === 'text' ? '' : 'x';
    return place;
  });
}

function placeBehind(before: string): Place {
  const opened = before.lastIndexOf('<');
  const inTag = opened >= 0 && !/>/.test(before.slice(opened).replace(/"[^"]*"/g, ''));
  if (!inTag) {
    const raw = /<(script|style|title|textarea|iframe|noscript)\b[^>]*>(?![\s\S]*<\/\1)/i.exec(before);
    if (raw !== null && raw[1] !== 'title' && raw[1] !== 'noscript')
      throw refuse(before, `inside of <${raw[1]}>`);
    return 'text';
  }
  const attribute = /\s([\w:-]+)="[^"]*$/.exec(before.slice(opened));
  if (attribute === null) throw refuse(before, 'outside of a quoted attribute');
  const name = (attribute[1] ?? '').toLowerCase();
  if (name.startsWith('on') || ['style', 'srcdoc', 'srcset'].includes(name)) throw refuse(before, name);
  return ['href', 'src', 'action', 'xlink:href', 'formaction', 'poster', 'data'].includes(name)
    ? 'address'
    : 'attribute';
}

function refuse(before: string, where: string): TypeError {
  return new TypeError(`no value may stand here (${where}): …${before.slice(-40)}`);
}
