import { make } from './dom.js';

/**
 * Puts something that can be wider than its place into a frame that says so: a shadow at the side where there is more, and a
 * line of text.
 *
 * @param {HTMLElement} scroller
 * @returns {HTMLElement}
 */
export function showScroll(scroller) {
  const hint = make('p', { class: 'scroll-hint', 'aria-hidden': 'true' }, 'More columns: scroll sideways →');
  const frame = make('div', { class: 'scroll-frame' }, scroller, hint);
  watchScroll(frame, scroller);
  return frame;
}

/**
 * @param {HTMLElement} frame
 * @param {HTMLElement} scroller
 */
export function watchScroll(frame, scroller) {
  const update = () => {
    const { scrollLeft, scrollWidth, clientWidth } = scroller;
    frame.classList.toggle('is-wider', scrollWidth > clientWidth + 1);
    frame.classList.toggle('more-left', scrollLeft > 1);
    frame.classList.toggle('more-right', scrollLeft + clientWidth < scrollWidth - 1);
  };
  scroller.addEventListener('scroll', update, { passive: true });
  const observer = new ResizeObserver(update);
  observer.observe(scroller);
  const [content] = scroller.children;
  if (content !== undefined) observer.observe(content);
}
