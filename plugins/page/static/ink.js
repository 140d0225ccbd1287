// Marks drawn here at once, before the server has answered with the true mask; and the masks of all
// regions laid over one another as tints and outlines.

import {pixel} from './labels.js';

/** @typedef {import('./view.js').Point} Point @typedef {import('./types').MaskSeen} MaskSeen */
/**
 * What a tool marked, in photo pixels. Strokes: one or more radii, in the order drawn.
 * @typedef {{kind: 'box', box: number[]} | {kind: 'lasso', points: Point[]}
 *   | {kind: 'strokes', strokes: {radius: number, softness: number, points: Point[]}[]}} Mark
 */

const SIDE = 1280; // masks are looked at no finer than this

/** The size that masks are held at here. @param {{width: number, height: number}} photo */
export function maskSize(photo) {
  const scale = Math.min(1, SIDE / Math.max(photo.width, photo.height));
  return {
    width: Math.max(1, Math.round(photo.width * scale)),
    height: Math.max(1, Math.round(photo.height * scale)),
  };
}

/** A canvas that pixels are read from. @param {number} width @param {number} height */
export function readable(width, height) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
}

/** @param {ImageBitmap} bitmap a grey picture, white inside @param {string} id @returns {MaskSeen} */
export function seen(bitmap, id) {
  const {width, height} = bitmap;
  const context = readable(width, height);
  context.drawImage(bitmap, 0, 0);
  const {data} = context.getImageData(0, 0, width, height);
  const alpha = new Uint8Array(width * height);
  for (let i = 0; i < alpha.length; i++) alpha[i] = data[4 * i];
  return {width, height, alpha, id};
}

/** The mask with a mark more or less.
 * @param {MaskSeen | undefined} before @param {Mark} mark @param {'+' | '-'} sign
 * @param {{width: number, height: number}} photo @returns {MaskSeen} */
export function marked(before, mark, sign, photo) {
  const {width, height} = before ?? maskSize(photo);
  const context = readable(width, height);
  context.scale(width / photo.width, height / photo.height);
  drawMark(context, mark, '#fff');
  const {data} = context.getImageData(0, 0, width, height);
  const alpha = before ? before.alpha.slice() : new Uint8Array(width * height);
  for (let i = 0; i < alpha.length; i++) {
    const more = data[4 * i + 3];
    if (more) alpha[i] = sign === '+' ? Math.max(alpha[i], more) : Math.min(alpha[i], 255 - more);
  }
  return {width, height, alpha, id: null};
}

/** The mask with a segment more or less.
 * @param {MaskSeen | undefined} before @param {import('./labels.js').LabelMap} map
 * @param {number} number @param {'+' | '-'} sign @param {{width: number, height: number}} photo
 * @returns {MaskSeen} */
export function segmented(before, map, number, sign, photo) {
  const {width, height} = before ?? maskSize(photo);
  const alpha = before ? before.alpha.slice() : new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * map.height) / height) * map.width;
    for (let x = 0; x < width; x++, i++) {
      if (map.numbers[row + Math.floor(((x + 0.5) * map.width) / width)] === number)
        alpha[i] = sign === '+' ? 255 : 0;
    }
  }
  return {width, height, alpha, id: null};
}

/** @param {CanvasRenderingContext2D} context in photo pixels @param {Mark} mark @param {string} colour */
export function drawMark(context, mark, colour) {
  context.fillStyle = context.strokeStyle = colour;
  if (mark.kind === 'box') {
    const [x0, y0, x1, y1] = mark.box;
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
  } else if (mark.kind === 'lasso') {
    path(context, mark.points);
    context.fill('evenodd');
  } else for (const one of mark.strokes) stroke(context, one.points, one.radius);
}

/** @param {CanvasRenderingContext2D} context @param {Point[]} points @param {number} radius */
export function stroke(context, points, radius) {
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = 2 * radius;
  path(context, points);
  if (points.length === 1) context.lineTo(points[0].x + 1e-3, points[0].y);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {Point[]} points */
export function path(context, points) {
  context.beginPath();
  points.forEach(({x, y}, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
}

/**
 * The regions on one another, later ones on top: tints in one canvas, outlines in another.
 * @param {{mask: MaskSeen, colour: string, isChosen: boolean}[]} layers
 * @param {{width: number, height: number}} size
 */
export function overlaid(layers, size) {
  const [fill, line] = [readable(size.width, size.height), readable(size.width, size.height)];
  const images = [fill, line].map((one) => one.createImageData(size.width, size.height));
  const [fills, lines] = images.map((one) => new Uint32Array(one.data.buffer));
  for (const {mask, colour, isChosen} of layers) {
    if (mask.width !== size.width || mask.height !== size.height) continue;
    lay(fills, lines, mask, pixel(colour), isChosen ? 0.5 : 0.3);
  }
  fill.putImageData(images[0], 0, 0);
  line.putImageData(images[1], 0, 0);
  return {fill: fill.canvas, line: line.canvas};
}

/** @param {Uint32Array} fills @param {Uint32Array} lines @param {MaskSeen} mask
 * @param {number} colour @param {number} share */
function lay(fills, lines, {width, height, alpha}, colour, share) {
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const inside = alpha[i];
      if (inside < 12) continue;
      fills[i] = colour | (Math.round(inside * share) << 24);
      if (inside < 128) continue;
      const isEdge = x === 0 || y === 0 || x === width - 1 || y === height - 1
        || alpha[i - 1] < 128 || alpha[i + 1] < 128 || alpha[i - width] < 128 || alpha[i + width] < 128;
      lines[i] = isEdge ? colour | 0xff000000 : 0;
    }
  }
}

/** The polyline without the points that a straight line between others passes within `near` of.
 * @param {Point[]} points @param {number} near photo pixels @returns {Point[]} */
export function simpler(points, near) {
  if (points.length < 3) return points;
  const kept = new Uint8Array(points.length);
  kept[0] = kept[points.length - 1] = 1;
  const open = [[0, points.length - 1]];
  for (let pair = open.pop(); pair; pair = open.pop()) {
    const [from, to] = pair;
    let [furthest, most] = [-1, near];
    for (let i = from + 1; i < to; i++) {
      const off = distance(points[i], points[from], points[to]);
      if (off > most) [furthest, most] = [i, off];
    }
    if (furthest < 0) continue;
    kept[furthest] = 1;
    open.push([from, furthest], [furthest, to]);
  }
  return points.filter((_, i) => kept[i]);
}

/** @param {Point} at @param {Point} a @param {Point} b */
function distance(at, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(Math.max(((at.x - a.x) * dx + (at.y - a.y) * dy) / length, 0), 1) : 0;
  return Math.hypot(at.x - a.x - along * dx, at.y - a.y - along * dy);
}
