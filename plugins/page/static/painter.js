// Painting the two canvases under the pointer: the picture, and over it what is marked in it.
import {bitmaps, tiles} from './pictures.js';
import {highlight} from './labels.js';
import {drawMark, path} from './ink.js';

/**
 * @typedef {import('./view.js').View} View
 * @typedef {{photo: {width: number, height: number}, view: View, ratio: number,
 *   width: number, height: number}} Frame
 * @typedef {{tool: string, at: import('./view.js').Point | null, radius: number, softness: number,
 *   number: number, colour: string, draft: {points: import('./view.js').Point[]} | null, isAway: boolean,
 *   isCrossed: boolean}} Pointer
 */

/** Device pixels from here on are photo pixels. @param {CanvasRenderingContext2D} context @param {Frame} frame */
export function inPhoto(context, {view, ratio}) {
  const scale = view.scale * ratio;
  context.setTransform(scale, 0, 0, scale, view.x * ratio, view.y * ratio);
}

/** @param {CanvasRenderingContext2D} context @param {Frame} frame
 * @param {'photo' | 'result' | 'split'} mode @param {number} split share of the photo's width */
export function paintPicture(context, frame, mode, split) {
  const {width} = frame.photo;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  inPhoto(context, frame);
  context.imageSmoothingEnabled = frame.view.scale * frame.ratio < 4;
  context.imageSmoothingQuality = 'high';
  const after = bitmaps.step ?? bitmaps.result;
  if (mode === 'photo' || !after) return draw(context, frame, bitmaps.photo, tiles.photo, 0, width);
  const edge = mode === 'split' ? split * width : 0;
  if (edge > 0) draw(context, frame, bitmaps.photo, tiles.photo, 0, edge);
  if (edge < width) draw(context, frame, after, bitmaps.step ? null : tiles.result, edge, width);
}

/** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {ImageBitmap | null} bitmap
 * @param {import('./tiles.js').Tiles | null} tiled @param {number} from @param {number} to */
function draw(context, frame, bitmap, tiled, from, to) {
  if (!bitmap) return;
  const {photo, view, ratio} = frame;
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, photo.height);
  context.clip();
  context.drawImage(bitmap, 0, 0, photo.width, photo.height);
  const scale = view.scale * ratio;
  if (tiled && scale * photo.width > bitmap.width * 1.05) {
    const sight = [
      Math.max(from, -view.x / view.scale), Math.max(0, -view.y / view.scale),
      Math.min(to, (frame.width - view.x) / view.scale),
      Math.min(photo.height, (frame.height - view.y) / view.scale),
    ];
    for (const {bitmap: tile, x, y, grown} of tiled.covering(sight, scale))
      context.drawImage(tile, x, y, tile.width * grown, tile.height * grown);
  }
  context.restore();
}

/** Tints and outlines, the object under the pointer, and the mark being made.
 * @param {CanvasRenderingContext2D} context @param {Frame} frame
 * @param {{fill: HTMLCanvasElement, line: HTMLCanvasElement} | null} overlay
 * @param {import('./labels.js').LabelMap | null} map @param {Pointer} pointer @param {boolean} isTinted */
export function paintMarks(context, frame, overlay, map, pointer, isTinted) {
  const {width, height} = frame.photo;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  inPhoto(context, frame);
  context.imageSmoothingEnabled = true;
  if (overlay && isTinted) context.drawImage(overlay.fill, 0, 0, width, height);
  if (overlay) context.drawImage(overlay.line, 0, 0, width, height);
  if (map && pointer.number) {
    const drawn = highlight(map, pointer.number, pointer.isAway ? '#101012' : pointer.colour);
    const [sx, sy] = [width / map.width, height / map.height];
    if (drawn) context.drawImage(drawn.canvas, drawn.x * sx, drawn.y * sy, drawn.canvas.width * sx, drawn.canvas.height * sy);
  }
  if (pointer.draft) paintDraft(context, frame, pointer);
  if (pointer.at) paintCursor(context, frame, pointer);
}

/** A box or lasso in the making. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Pointer} pointer */
function paintDraft(context, frame, {tool, draft, isAway}) {
  const points = /** @type {{points: import('./view.js').Point[]}} */ (draft).points;
  const [from, to] = [points[0], points[points.length - 1]];
  const box = [Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y)];
  const mark = tool === 'box' ? {kind: /** @type {const} */ ('box'), box} : {kind: /** @type {const} */ ('lasso'), points};
  drawMark(context, mark, isAway ? 'rgba(20,20,22,.45)' : 'rgba(255,255,255,.28)');
  if (tool === 'box') {
    context.beginPath();
    context.rect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  } else path(context, points);
  twice(context, 1 / frame.view.scale);
}

/** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Pointer} pointer */
function paintCursor(context, frame, {tool, at, radius, softness, isCrossed}) {
  const {x, y} = /** @type {import('./view.js').Point} */ (at);
  const pixel = 1 / frame.view.scale;
  context.beginPath();
  if (tool === 'brush' || tool === 'eraser') {
    context.arc(x, y, Math.max(radius, pixel), 0, 2 * Math.PI);
    const inner = radius * (1 - softness);
    if (softness && inner > 4 * pixel) {
      context.moveTo(x + inner, y);
      context.arc(x, y, inner, 0, 2 * Math.PI);
    }
  } else if (isCrossed) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx * pixel, y + 4 * dy * pixel);
      context.lineTo(x + 14 * dx * pixel, y + 14 * dy * pixel);
    }
  } else return;
  twice(context, pixel);
}

/** Dark under light, so that it is seen on everything. @param {CanvasRenderingContext2D} context @param {number} pixel */
function twice(context, pixel) {
  context.lineCap = context.lineJoin = 'round';
  [context.strokeStyle, context.lineWidth] = ['rgba(0,0,0,.6)', 3 * pixel];
  context.stroke();
  [context.strokeStyle, context.lineWidth] = ['rgba(255,255,255,.95)', 1.25 * pixel];
  context.stroke();
}
