/** @import { BoxData } from '../../inspection/findings.ts' */
/** @import { PageData } from '../page-data.ts' */
/** @import { ColourMode } from './colours.js' */
/** @import { LabelMode } from './labels.js' */
import { boxColour, boxName } from './colours.js';
import { make, makeSvg } from './dom.js';
import { placeLabels } from './labels.js';

const BOXES = 36;
/** Height of a stage at most, as a share of the window's. */
const MOST_VH = 72;

/**
 * @typedef {object} StageSettings
 * @property {ColourMode} colour
 * @property {LabelMode} labels
 * @property {readonly boolean[]} visible
 * @property {readonly boolean[] | null} hits boxes that a filter or the search asks for; null where none does
 */

/**
 * @typedef {object} Stage
 * @property {HTMLElement} element
 * @property {(settings: StageSettings) => void} update
 * @property {(box: number | null) => void} highlight
 * @property {(zoom: number) => void} setZoom 1 fits the picture to its column
 */

/**
 * A picture with its boxes. Both fill the same rectangle, so a pixel of the original image is the same place in both.
 *
 * @param {{ readonly id: string, readonly width: number, readonly height: number, readonly picture: string | null }} image
 * @param {BoxData} data
 * @param {PageData} page
 * @param {{ hover: (box: number | null) => void, pick: (box: number | null) => void }} notify
 * @returns {Stage}
 */
export function createStage(image, data, page, notify) {
  const width = Math.max(1, image.width);
  const height = Math.max(1, image.height);
  const shapes = Array.from({ length: BOXES }, (_, box) => drawBox(data, box));
  const drawing = makeSvg(
    'svg',
    {
      class: 'boxes',
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `${BOXES} boxes on ${image.id}; the table lists them`,
    },
    ...shapes,
  );
  const names = make('div', { class: 'names', 'aria-hidden': 'true' });
  const picture =
    image.picture === null
      ? make('div', { class: 'no-picture' })
      : make('img', { class: 'picture', src: image.picture, alt: '', draggable: 'false' });
  const element = make('div', { class: 'stage' }, picture, drawing, names);
  element.style.aspectRatio = `${width} / ${height}`;
  const setZoom = (/** @type {number} */ zoom) => {
    const fit = `min(100%, ${((MOST_VH * width) / height).toFixed(3)}vh)`;
    element.style.width = zoom === 1 ? fit : `calc(${fit} * ${zoom})`;
  };
  setZoom(1);

  /** @type {StageSettings} */
  let settings = { colour: 'object', labels: 'some', visible: [], hits: null };
  /** @type {number | null} */
  let active = null;

  const byImportance = () =>
    Array.from({ length: BOXES }, (_, box) => box).sort(
      (a, b) =>
        Number(settings.hits?.[b] ?? 0) - Number(settings.hits?.[a] ?? 0) ||
        (data.objectsConf?.[b] ?? 0) - (data.objectsConf?.[a] ?? 0),
    );

  const drawNames = () => {
    const size = { width: element.clientWidth, height: element.clientHeight };
    const all = byImportance()
      .filter(box => settings.visible[box])
      .map(box => ({
        box,
        text: boxName(data, box, page),
        x: ((data.boxes[box * 4] ?? 0) / width) * size.width,
        y: ((data.boxes[box * 4 + 1] ?? 0) / height) * size.height,
        right: ((data.boxes[box * 4 + 2] ?? 0) / width) * size.width,
        bottom: ((data.boxes[box * 4 + 3] ?? 0) / height) * size.height,
      }));
    const shown =
      active === null
        ? placeLabels(all, settings.labels, size)
        : placeLabels(
            all.filter(({ box }) => box === active),
            'all',
            size,
          );
    names.replaceChildren(
      ...shown.map(({ box, x, y, text }) => {
        const label = make('span', {}, text);
        label.style.left = `${x}px`;
        label.style.top = `${y}px`;
        label.style.backgroundColor = boxColour(data, box, settings.colour, page);
        if (isDark(settings.colour, data, box, page)) label.classList.add('on-dark');
        return label;
      }),
    );
  };
  new ResizeObserver(drawNames).observe(element);

  const boxAt = (/** @type {PointerEvent | MouseEvent} */ event) => {
    const place = drawing.getBoundingClientRect();
    const x = ((event.clientX - place.left) / place.width) * width;
    const y = ((event.clientY - place.top) / place.height) * height;
    return smallestBoxAt(data, settings.visible, x, y);
  };
  drawing.addEventListener('pointermove', event => notify.hover(boxAt(event)));
  drawing.addEventListener('pointerleave', () => notify.hover(null));
  drawing.addEventListener('click', event => notify.pick(boxAt(event)));

  return {
    element,
    setZoom,
    update(next) {
      settings = next;
      element.classList.toggle('has-hits', settings.hits?.some(Boolean) === true);
      for (const [box, shape] of shapes.entries()) {
        shape.classList.toggle('hidden', !settings.visible[box]);
        shape.classList.toggle('hit', settings.hits?.[box] === true);
        shape.style.setProperty('--box', boxColour(data, box, settings.colour, page));
        shape.style.setProperty('--weight', weightOf(data, box));
      }
      drawNames();
    },
    highlight(box) {
      if (box === active) return;
      active = box;
      element.classList.toggle('has-active', box !== null);
      for (const [index, shape] of shapes.entries()) shape.classList.toggle('active', index === box);
      drawNames();
    },
  };
}

/**
 * The less confident stand back.
 *
 * @param {BoxData} data
 * @param {number} box
 */
function weightOf(data, box) {
  const confidence = data.objectsConf?.[box];
  return confidence === undefined ? '1' : (0.25 + 0.75 * Math.min(1, (confidence ?? 0) / 0.5)).toFixed(2);
}

/**
 * @param {BoxData} data
 * @param {number} box
 */
function drawBox(data, box) {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = data.boxes.slice(box * 4, box * 4 + 4).map(value => value ?? 0);
  const place = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
  return makeSvg(
    'g',
    { 'data-box': box },
    makeSvg('rect', { class: 'casing', ...place }),
    makeSvg('rect', { class: 'line', ...place }),
  );
}

/**
 * Of boxes that overlap, the smallest is the one that is hard to reach otherwise.
 *
 * @param {BoxData} data
 * @param {readonly boolean[]} visible
 * @param {number} x
 * @param {number} y
 */
function smallestBoxAt({ boxes }, visible, x, y) {
  let best = null;
  let least = Infinity;
  for (let box = 0; box < BOXES; box++) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.slice(box * 4, box * 4 + 4).map(value => value ?? 0);
    const area = (x2 - x1) * (y2 - y1);
    if (!visible[box] || x < x1 || x > x2 || y < y1 || y > y2 || area >= least) continue;
    best = box;
    least = area;
  }
  return best;
}

/**
 * The low end of the ramp needs light letters.
 *
 * @param {ColourMode} colour
 * @param {BoxData} data
 * @param {number} box
 * @param {PageData} page
 */
function isDark(colour, data, box, page) {
  const lightness = /oklch\(([\d.]+)/.exec(boxColour(data, box, colour, page))?.[1];
  return Number(lightness) < 0.6;
}
