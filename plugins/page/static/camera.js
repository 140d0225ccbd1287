// The present view of the photo, and the size of the room it is shown in.
import {effect, signal} from './ui.js';
import * as views from './view.js';
import * as store from './store.js';

/** @typedef {import('./view.js').View} View @typedef {import('./view.js').Point} Point */

/** @type {import('./ui').Signal<View>} */
export const view = signal({scale: 1, x: 0, y: 0});
/** CSS pixels, and device pixels per CSS pixel. */
export const room = signal({width: 1, height: 1, ratio: 1});
let isFitted = true;

/** @returns {() => void} */
export function follow() {
  const ends = [
    effect(() => {
      room.value;
      if (store.photo.value && isFitted) fit();
    }),
    effect(() => {
      if (store.photo.value) fit();
    }),
    effect(() => {
      store.zoom.value = view.value.scale * room.value.ratio;
    }),
  ];
  return () => ends.forEach((end) => end());
}

export function fit() {
  const photo = store.photo.peek();
  if (!photo) return;
  view.value = views.fitted(photo, room.peek());
  isFitted = true;
}

/** One device pixel for each pixel of the photo. */
export function actual() {
  zoom(1 / (view.peek().scale * room.peek().ratio));
}

/** @param {number} factor @param {Point} [at] what stays in its place; the middle if not said */
export function zoom(factor, at = {x: room.peek().width / 2, y: room.peek().height / 2}) {
  isFitted = false;
  view.value = views.zoomed(view.peek(), factor, at);
  pan(0, 0);
}

/** @param {number} dx @param {number} dy */
export function pan(dx, dy) {
  const photo = store.photo.peek();
  if (!photo) return;
  if (dx || dy) isFitted = false;
  view.value = views.panned(view.peek(), dx, dy, photo, room.peek());
}
