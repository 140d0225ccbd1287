// Where the photo lies on the screen. One place for the three sizes that are easily confused: photo
// pixels, CSS pixels, and device pixels of the canvas (CSS pixels times `ratio`).

/**
 * `scale`: CSS pixels per photo pixel; `x`, `y`: of the photo's top left corner, in CSS pixels.
 * @typedef {{scale: number, x: number, y: number}} View
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number}} Point
 */

const FURTHEST = 1 / 64;
const NEAREST = 32;
const MARGIN = 28; // CSS pixels left free around a photo that fits

/** @param {Size} photo @param {Size} room @returns {View} */
export function fitted(photo, room) {
  const free = {width: Math.max(room.width - 2 * MARGIN, 40), height: Math.max(room.height - 2 * MARGIN, 40)};
  const scale = Math.min(free.width / photo.width, free.height / photo.height, 8);
  return centred(photo, room, scale);
}

/** @param {Size} photo @param {Size} room @param {number} scale @returns {View} */
export function centred(photo, room, scale) {
  return {scale, x: (room.width - photo.width * scale) / 2, y: (room.height - photo.height * scale) / 2};
}

/** The view scaled by `factor`, with what is under `at` (CSS pixels) staying there.
 * @param {View} view @param {number} factor @param {Point} at @returns {View} */
export function zoomed(view, factor, at) {
  const scale = Math.min(Math.max(view.scale * factor, FURTHEST), NEAREST);
  const grown = scale / view.scale;
  return {scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown};
}

/** The view moved, but never so far that less than a corner of the photo stays in sight.
 * @param {View} view @param {number} dx @param {number} dy @param {Size} photo @param {Size} room
 * @returns {View} */
export function panned(view, dx, dy, photo, room) {
  const corner = 48;
  const held = (/** @type {number} */ at, /** @type {number} */ side, /** @type {number} */ free) =>
    Math.min(Math.max(at, corner - side * view.scale), free - corner);
  return {
    scale: view.scale,
    x: held(view.x + dx, photo.width, room.width),
    y: held(view.y + dy, photo.height, room.height),
  };
}

/** @param {View} view @param {Point} at CSS pixels @returns {Point} photo pixels */
export function toPhoto(view, at) {
  return {x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale};
}

/** @param {View} view @param {Point} at photo pixels @returns {Point} CSS pixels */
export function toScreen(view, at) {
  return {x: at.x * view.scale + view.x, y: at.y * view.scale + view.y};
}
