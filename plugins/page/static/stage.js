// The stage: three canvases on one another (picture, ink of the stroke under way, marks), painted when
// something changed, and the pointer over them.
import {computed, effect, html, useEffect, useRef} from './ui.js';
import {maskSize, overlaid, stroke as drawStroke} from './ink.js';
import {Split} from './compare.js';
import {labels} from './segments.js';
import {bitmaps, painted, wasPainted} from './pictures.js';
import {inPhoto, paintMarks, paintPicture} from './painter.js';
import {watchPointer} from './pointing.js';
import * as camera from './camera.js';
import * as store from './store.js';
import * as tools from './tools.js';

/** What is to be seen: the photo while its key is held. */
export const seenMode = computed(() => (store.isHeld.value ? 'photo' : store.mode.value));

/** Whether the photo alone is to be seen, so that tints hide nothing one wants to look at. */
const isBare = computed(() => {
  painted.value;
  return seenMode.value === 'photo' || !(bitmaps.step ?? bitmaps.result);
});

/** Over a result only the chosen region has its outline.
 * @type {import('./ui').Computed<{fill: HTMLCanvasElement, line: HTMLCanvasElement} | null>} */
const overlay = computed(() => {
  const [photo, masks] = [store.photo.value, store.masks.value];
  if (!photo || !masks.size) return null;
  const layers = [];
  for (const {key, colour, hidden} of store.doc.value.parts) {
    const [mask, isChosen] = [masks.get(key), key === store.selected.value];
    if (mask && !hidden && (isChosen || isBare.value)) layers.push({mask, colour, isChosen});
  }
  return layers.length ? overlaid(layers, maskSize(photo)) : null;
});

/** @returns {import('./painter.js').Frame | null} */
function frame() {
  const photo = store.photo.value;
  const {width, height, ratio} = camera.room.value;
  return photo && {photo, view: camera.view.value, ratio, width, height};
}

export function Stage() {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => stage(/** @type {HTMLElement} */ (place.current)), []);
  return html`
    <div class="stage" ref=${place} tabindex="0" role="application" id="stage"
         aria-label="Photo. Arrow keys move a crosshair, Enter uses the tool there, Escape lets go."
         aria-describedby="hint">
      <canvas class="picture" aria-hidden="true"></canvas>
      <canvas class="ink" aria-hidden="true"></canvas>
      <canvas class="marks" aria-hidden="true"></canvas>
      <${Split} />
    </div>`;
}

/** @param {HTMLElement} place */
function stage(place) {
  const canvases = [...place.querySelectorAll('canvas')];
  const [picture, ink, marks] = canvases.map((one, i) =>
    /** @type {CanvasRenderingContext2D} */ (one.getContext('2d', {desynchronized: i === 1})));
  const ends = [
    measured(place, canvases),
    watchPointer(place),
    camera.follow(),
    painting(() => (painted.value, seenMode.value, store.split.value, frame()), (now) => {
      if (now) paintPicture(picture, now, seenMode.peek(), store.split.peek()), wasPainted();
      else picture.clearRect(0, 0, picture.canvas.width, picture.canvas.height);
    }),
    painting(() => (tools.pointed.value, store.brush.value, store.tool.value, frame()), (now) => {
      if (now) paintInk(ink, now);
    }),
    painting(marksShown, ([now, over, isTinted]) => {
      if (!now) return marks.clearRect(0, 0, marks.canvas.width, marks.canvas.height);
      const {radius, softness} = store.brush.peek();
      const pointer = {...tools.pointer, tool: store.tool.peek(), radius, softness, colour: store.colour()};
      paintMarks(marks, now, over, labels.peek(), pointer, isTinted);
    }),
  ];
  return () => ends.forEach((end) => end?.());
}

/** @returns {[import('./painter.js').Frame | null, typeof overlay.value, boolean]} */
function marksShown() {
  tools.pointed.value;
  store.brush.value;
  const isAside = store.isHeld.value || !store.isMarked.value;
  const isTinted = !isAside && isBare.value;
  labels.value;
  return [frame(), isAside ? null : overlay.value, isTinted];
}

/** Paints on the next frame after what `look` reads has changed, once a frame.
 * @template T @param {() => T} look @param {(now: T) => void} paint */
function painting(look, paint) {
  let [isDue, now] = [0, /** @type {T} */ (/** @type {unknown} */ (undefined))];
  return effect(() => {
    now = look();
    isDue ||= requestAnimationFrame(() => {
      isDue = 0;
      paint(now);
    });
  });
}

/** The new end of the stroke under way is drawn over the old; a stroke costs what it grew.
 * @param {CanvasRenderingContext2D} context @param {import('./painter.js').Frame} frame */
function paintInk(context, frame) {
  const {points, inked, isOn} = tools.stroke;
  const isNew = !isOn || inked === 0;
  if (isNew) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  }
  if (!isOn || inked === points.length) return;
  inPhoto(context, frame);
  context.strokeStyle = tools.pointer.isAway ? '#101012' : store.colour();
  for (const {radius, points: run} of tools.runs(points.slice(Math.max(inked - 1, 0))))
    drawStroke(context, run, radius);
  tools.stroke.inked = points.length;
}

/** Canvases as large as their room, in whole device pixels, also when the browser zooms.
 * @param {HTMLElement} place @param {HTMLCanvasElement[]} canvases */
function measured(place, canvases) {
  const size = () => {
    const {width, height} = place.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of canvases) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    camera.room.value = {width, height, ratio};
  };
  const watcher = new ResizeObserver(size);
  watcher.observe(place);
  // A zoom of the browser changes the ratio without changing the size of anything.
  let asked = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
  const again = () => {
    size();
    asked.removeEventListener('change', again);
    asked = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    asked.addEventListener('change', again);
  };
  asked.addEventListener('change', again);
  return () => (watcher.disconnect(), asked.removeEventListener('change', again));
}
