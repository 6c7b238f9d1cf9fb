import { byId, make } from './dom.js';

/** @type {readonly (readonly [keys: string, meaning: string])[]} */
const KEYS = [
  ['← → ↑ ↓', 'in the grid, from image to image'],
  ['Enter', 'open the image, or keep a box'],
  ['← → or k j', 'in an image, the previous and the next one'],
  ['Esc', 'let go of a box, then back to the grid'],
  ['+ − 0', 'zoom in, out, and fit'],
  ['↑ ↓', 'in the table, from box to box'],
  ['l', 'names: best few, all that fit, none'],
  ['/', 'find'],
  ['?', 'this help'],
];

/** The keys of the page, behind the button and `?`. */
export function setUpHelp() {
  const rows = KEYS.map(([keys, meaning]) =>
    make('div', {}, make('dt', {}, make('kbd', {}, keys)), make('dd', {}, meaning)),
  );
  const close = make('button', { type: 'button', class: 'quiet-button' }, 'Close');
  const dialog = make(
    'dialog',
    { class: 'help', 'aria-labelledby': 'help-heading' },
    make('h2', { id: 'help-heading' }, 'Keyboard'),
    make('dl', { class: 'keys' }, ...rows),
    close,
  );
  close.addEventListener('click', () => dialog.close());
  document.body.append(dialog);
  const button = byId('help', HTMLButtonElement);
  button.addEventListener('click', () => dialog.showModal());
  button.hidden = false;
  return dialog;
}
