// Before and after: the line between them, dragged or moved with arrow keys.
import {html} from './ui.js';
import {toScreen} from './view.js';
import * as camera from './camera.js';
import * as store from './store.js';

export function Split() {
  const photo = store.photo.value;
  if (!photo || store.mode.value !== 'split' || store.isHeld.value || !store.shown.value) return null;
  const view = camera.view.value;
  const [left, top] = [toScreen(view, {x: store.split.value * photo.width, y: 0}), Math.max(view.y, 0)];
  const height = Math.min(view.y + photo.height * view.scale, camera.room.value.height) - top;
  const style = {transform: `translate(${left.x}px, ${top}px)`, height: `${Math.max(height, 0)}px`};
  return html`
    <div class="split" role="slider" tabindex="0" aria-label="Line between photo and result"
         aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(store.split.value * 100)}
         aria-orientation="horizontal" style=${style} onPointerDown=${grab} onKeyDown=${key}>
      <span class="grip" aria-hidden="true"></span>
      <span class="side before" aria-hidden="true">Photo</span>
      <span class="side after" aria-hidden="true">Result</span>
    </div>`;
}

/** @param {PointerEvent} event */
function grab(event) {
  const line = /** @type {HTMLElement} */ (event.currentTarget);
  const stage = /** @type {HTMLElement} */ (line.parentElement);
  event.stopPropagation();
  line.setPointerCapture(event.pointerId);
  const move = (/** @type {PointerEvent} */ now) => {
    const {scale, x} = camera.view.peek();
    const at = now.clientX - stage.getBoundingClientRect().left;
    put((at - x) / scale / /** @type {import('./types').Photo} */ (store.photo.peek()).width);
  };
  line.addEventListener('pointermove', move);
  line.addEventListener('lostpointercapture', () => line.removeEventListener('pointermove', move), {once: true});
}

/** @param {KeyboardEvent} event */
function key(event) {
  const way = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!way) return;
  event.preventDefault();
  event.stopPropagation();
  put(store.split.peek() + way * (event.shiftKey ? 0.1 : 0.02));
}

/** @param {number} share */
function put(share) {
  store.split.value = Math.min(Math.max(share, 0), 1);
}
