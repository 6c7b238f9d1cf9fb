/** @import { Stage } from './stage.js' */
import { make } from './dom.js';

const STEPS = [1, 1.5, 2, 3, 4, 6, 8];
/** Pixels that a pointer must move to pan; less is a click. */
const SLOP = 4;

/**
 * Frames for one or two stages that zoom and pan together: buttons, `+`, `-` and `0`, the wheel with Ctrl, dragging, or scrolling.
 *
 * @param {readonly Stage[]} stages
 * @param {readonly string[]} [names]
 * @returns {HTMLElement}
 */
export function createZoom(stages, names = []) {
  let step = 0;
  const output = make('output', { class: 'zoom-value' }, '100 %');
  const frames = stages.map(({ element }) => make('div', { class: 'stage-frame' }, element));
  /** @param {number} next @param {{ x: number, y: number }} [at] shares of a frame that stay where they are */
  const zoomTo = (next, at = { x: 0.5, y: 0.5 }) => {
    step = Math.min(STEPS.length - 1, Math.max(0, next));
    const zoom = STEPS[step] ?? 1;
    const [frame] = frames;
    if (frame === undefined) return;
    const place = {
      x: (frame.scrollLeft + at.x * frame.clientWidth) / Math.max(1, frame.scrollWidth),
      y: (frame.scrollTop + at.y * frame.clientHeight) / Math.max(1, frame.scrollHeight),
    };
    for (const [index, stage] of stages.entries()) {
      stage.setZoom(zoom);
      const own = frames[index];
      own?.classList.toggle('zoomed', zoom > 1);
      own?.scrollTo({
        left: place.x * own.scrollWidth - at.x * own.clientWidth,
        top: place.y * own.scrollHeight - at.y * own.clientHeight,
        behavior: 'instant',
      });
    }
    output.textContent = `${zoom * 100} %`;
  };
  for (const frame of frames) {
    frame.addEventListener('scroll', () => {
      for (const other of frames) {
        if (other === frame) continue;
        other.scrollLeft = frame.scrollLeft;
        other.scrollTop = frame.scrollTop;
      }
    });
    frame.addEventListener(
      'wheel',
      event => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const { left, top, width, height } = frame.getBoundingClientRect();
        zoomTo(step - Math.sign(event.deltaY), {
          x: (event.clientX - left) / width,
          y: (event.clientY - top) / height,
        });
      },
      { passive: false },
    );
    makeDraggable(frame);
  }
  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) => {
    const element = make('button', { type: 'button', 'aria-label': label, title: label }, text);
    element.addEventListener('click', act);
    return element;
  };
  const bar = make(
    'div',
    { class: 'zoom-bar', role: 'group', 'aria-label': 'Zoom' },
    button('−', 'Zoom out (-)', () => zoomTo(step - 1)),
    output,
    button('+', 'Zoom in (+)', () => zoomTo(step + 1)),
    button('Fit', 'Fit to the window (0)', () => zoomTo(0)),
  );
  const columns = frames.map((frame, index) =>
    make('div', { class: 'stage-side' }, ...sideName(names[index]), frame),
  );
  const element = make('div', { class: 'zoom' }, make('div', { class: 'stages' }, ...columns), bar);
  element.addEventListener('zoom-by', event => {
    const by = /** @type {CustomEvent<number>} */ (event).detail;
    zoomTo(by === 0 ? 0 : step + by);
  });
  return element;
}

/** @param {string | undefined} name */
function sideName(name) {
  return name === undefined ? [] : [make('p', { class: 'side-name' }, name)];
}

/**
 * A picture that is larger than its frame can be dragged; a drag is no click.
 *
 * @param {HTMLElement} frame
 */
function makeDraggable(frame) {
  /** @type {{ x: number, y: number, left: number, top: number, moved: boolean } | undefined} */
  let drag;
  frame.addEventListener('pointerdown', event => {
    if (event.pointerType !== 'mouse' || event.button !== 0 || !frame.classList.contains('zoomed')) return;
    drag = {
      x: event.clientX,
      y: event.clientY,
      left: frame.scrollLeft,
      top: frame.scrollTop,
      moved: false,
    };
  });
  addEventListener('pointermove', event => {
    if (drag === undefined) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.abs(dx) + Math.abs(dy) > SLOP;
    if (!drag.moved) return;
    frame.scrollTo({ left: drag.left - dx, top: drag.top - dy, behavior: 'instant' });
  });
  addEventListener('pointerup', () => {
    // The click that ends a drag comes after this.
    const ended = drag;
    setTimeout(() => {
      if (drag === ended) drag = undefined;
    });
  });
  frame.addEventListener(
    'click',
    event => {
      if (drag?.moved === true) event.stopPropagation();
    },
    { capture: true },
  );
}
