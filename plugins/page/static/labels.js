// Which object is under the pointer, with no round trip: the map of all segments lies here once.

/** @typedef {import('./view.js').Point} Point */
/**
 * `numbers`: who is under each pixel of the map, 0 nobody; `boxes`: x0, y0, x1, y1 in map pixels.
 * @typedef {{width: number, height: number, numbers: Uint16Array, boxes: Map<number, number[]>,
 *   drawn: Map<string, Highlight>}} LabelMap
 * @typedef {{canvas: HTMLCanvasElement, x: number, y: number}} Highlight
 */

const KEPT = 24; // highlights drawn before that are kept

/** @param {Uint16Array} numbers @param {number} width @param {number} height @returns {LabelMap} */
export function labelMap(numbers, width, height) {
  const boxes = new Map();
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const number = numbers[i];
      if (!number) continue;
      const box = boxes.get(number);
      if (!box) boxes.set(number, [x, y, x + 1, y + 1]);
      else if (x < box[0] || x >= box[2] || y >= box[3]) {
        box[0] = Math.min(box[0], x);
        box[2] = Math.max(box[2], x + 1);
        box[3] = y + 1;
      }
    }
  }
  return {width, height, numbers, boxes, drawn: new Map()};
}

/** The number under a point of the photo, 0 for none.
 * @param {LabelMap} map @param {Point} at @param {{width: number, height: number}} photo */
export function under(map, at, photo) {
  const x = Math.floor((at.x * map.width) / photo.width);
  const y = Math.floor((at.y * map.height) / photo.height);
  return x < 0 || y < 0 || x >= map.width || y >= map.height ? 0 : map.numbers[y * map.width + x];
}

/** One segment, softly filled and outlined, in a canvas as large as its box.
 * @param {LabelMap} map @param {number} number @param {string} colour `#rrggbb` @returns {Highlight | null} */
export function highlight(map, number, colour) {
  const name = `${number} ${colour}`;
  const known = map.drawn.get(name);
  if (known) return known;
  const box = map.boxes.get(number);
  if (!box) return null;
  const [x0, y0, x1, y1] = box;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [x1 - x0, y1 - y0];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const image = context.createImageData(canvas.width, canvas.height);
  filled(new Uint32Array(image.data.buffer), map, number, box, pixel(colour));
  context.putImageData(image, 0, 0);
  const drawn = {canvas, x: x0, y: y0};
  map.drawn.set(name, drawn);
  if (map.drawn.size > KEPT) map.drawn.delete(/** @type {string} */ (map.drawn.keys().next().value));
  return drawn;
}

/** @param {Uint32Array} out @param {LabelMap} map @param {number} number @param {number[]} box
 * @param {number} colour */
function filled(out, {width, height, numbers}, number, [x0, y0, x1, y1], colour) {
  for (let y = y0, to = 0; y < y1; y++) {
    for (let x = x0, i = y * width + x0; x < x1; x++, i++, to++) {
      if (numbers[i] !== number) continue;
      const isEdge = x === 0 || y === 0 || x === width - 1 || y === height - 1
        || numbers[i - 1] !== number || numbers[i + 1] !== number
        || numbers[i - width] !== number || numbers[i + width] !== number;
      out[to] = colour | (isEdge ? 0xff000000 : 0x70000000);
    }
  }
}

/** A colour as the lower three bytes of a little-endian pixel. @param {string} colour `#rrggbb` */
export function pixel(colour) {
  const value = parseInt(colour.slice(1), 16);
  return ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
}
