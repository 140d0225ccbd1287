// What the tools do with a pointer, in photo pixels: `begin`, `move`, `end`, `drop`. Mouse, pen, finger
// and arrow keys all come through here.
import {signal, untracked} from './ui.js';
import {marked, segmented, simpler} from './ink.js';
import {under} from './labels.js';
import {labels, segments} from './segments.js';
import {spelt} from './selection.js';
import {view} from './camera.js';
import * as store from './store.js';

/** @typedef {import('./view.js').Point} Point @typedef {'+' | '-'} Sign */
/** @typedef {Point & {pressure?: number}} Touch */

/** What the pointer is at, for the painter. */
export const pointer = {
  at: /** @type {Point | null} */ (null),
  number: 0,
  isAway: false,
  draft: /** @type {{points: Point[]} | null} */ (null),
  isCrossed: false,
};
/** Counts up when the pointer has something new to show. */
export const pointed = signal(0);
/** The stroke being drawn, which the stage inks as it grows. */
export const stroke = {
  points: /** @type {Touch[]} */ ([]),
  inked: 0,
  isOn: false,
};

/** Where a click began: it counts when it is let go, so that a second finger can still make it a pinch.
 * @type {Point | null} */
let pressed = null;

function tell() {
  pointed.value = pointed.peek() + 1;
}

/** @param {Point | null} at @param {boolean} [isAway] */
export function hover(at, isAway = pointer.isAway) {
  const photo = store.photo.peek();
  pointer.at = at;
  pointer.isAway = isAway;
  const [map, tool] = [labels.peek(), store.tool.peek()];
  pointer.number = at && photo && map && tool === 'object' ? under(map, at, photo) : 0;
  tell();
}

/** @param {Touch} at @param {boolean} isAway subtract instead of add */
export function begin(at, isAway) {
  const tool = store.tool.peek();
  pointer.isAway = isAway || tool === 'eraser';
  if (tool === 'object' || tool === 'colour') pressed = at;
  else if (tool === 'box' || tool === 'lasso') pointer.draft = {points: [at]};
  else if (tool === 'brush' || tool === 'eraser') [stroke.points, stroke.inked, stroke.isOn] = [[at], 0, true];
  hover(at);
}

/** @param {Touch[]} touches those since the last call, oldest first */
export function move(touches) {
  const last = touches[touches.length - 1];
  if (pointer.draft) {
    if (store.tool.peek() === 'box') pointer.draft.points = [pointer.draft.points[0], last];
    else pointer.draft.points.push(...touches);
  } else if (stroke.isOn) stroke.points.push(...touches);
  hover(last);
}

export function end() {
  const {draft, isAway} = pointer;
  const sign = isAway ? '-' : '+';
  pointer.draft = null;
  if (draft && store.tool.peek() === 'box') boxed(draft.points, sign);
  else if (draft) lassoed(draft.points, sign);
  else if (stroke.isOn) stroked(sign);
  else if (pressed && store.tool.peek() === 'colour') colour(pressed, sign);
  else if (pressed) pick(pressed, sign);
  drop();
}

/** Forgets the gesture that is under way. */
export function drop() {
  pointer.draft = pressed = null;
  [stroke.points, stroke.inked, stroke.isOn] = [[], 0, false];
  tell();
}

export const isBusy = () => stroke.isOn || pointer.draft !== null || pressed !== null;

/** @param {Point} at @param {Sign} sign */
function pick(at, sign) {
  const [photo, map] = [store.photo.peek(), labels.peek()];
  if (!photo || !isInside(at, photo)) return;
  const number = map ? under(map, at, photo) : 0;
  if (!map) return mark(sign, `point:${Math.floor(at.x)},${Math.floor(at.y)}`);
  if (!number) return store.note('No object found there: take the brush, lasso or box');
  const label = segments.peek().get(number)?.label ?? undefined;
  mark(sign, `auto:${number}`, label && label[0].toUpperCase() + label.slice(1));
  show((before) => segmented(before, map, number, sign, photo));
}

/** @param {Point} at @param {Sign} sign */
function colour(at, sign) {
  const photo = store.photo.peek();
  if (!photo || !isInside(at, photo)) return;
  mark(sign, `color:${Math.floor(at.x)},${Math.floor(at.y)}~${store.tolerance.peek()}`);
}

/** @param {Point[]} points @param {Sign} sign */
function boxed(points, sign) {
  const photo = /** @type {import('./types').Photo} */ (store.photo.peek());
  const [from, to] = [points[0], points[points.length - 1]];
  const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(Math.max(Math.round(value), 0), most);
  const box = [
    within(Math.min(from.x, to.x), photo.width), within(Math.min(from.y, to.y), photo.height),
    within(Math.max(from.x, to.x), photo.width), within(Math.max(from.y, to.y), photo.height),
  ];
  if (box[2] - box[0] < 1 || box[3] - box[1] < 1) return;
  mark(sign, `box:${box}`);
  show((before) => marked(before, {kind: 'box', box}, sign, photo));
}

/** @param {Point[]} drawn @param {Sign} sign */
function lassoed(drawn, sign) {
  const photo = /** @type {import('./types').Photo} */ (store.photo.peek());
  const points = simpler(drawn, 0.5 / view.peek().scale);
  if (points.length < 3) return;
  mark(sign, `lasso:${written(points)}`);
  show((before) => marked(before, {kind: 'lasso', points}, sign, photo));
}

/** @param {Sign} sign */
function stroked(sign) {
  const photo = /** @type {import('./types').Photo} */ (store.photo.peek());
  const strokes = runs(stroke.points);
  mark(sign, `brush:${strokeText(strokes.map(({points}) => points))}`);
  show((before) => marked(before, {kind: 'strokes', strokes}, sign, photo));
}

/** One stroke in the recipe's words; where a pen pressed less, a point says its own radius.
 * @param {Touch[][]} parts that begin where the one before ended */
function strokeText(parts) {
  const {radius, softness} = store.brush.peek();
  const points = parts.flatMap((part, i) => (i ? part.slice(1) : part)).map((point) => {
    const wide = spelt(wideAt(point, radius));
    return `${spelt(point.x)},${spelt(point.y)}${wide === spelt(radius) ? '' : `,${wide}`}`;
  });
  return `${spelt(radius)}${softness ? `~${Math.round(softness * 100) / 100}` : ''}:${points.join(';')}`;
}

/** @param {Touch} touch @param {number} radius */
const wideAt = ({pressure = 1}, radius) => Math.max(radius * Math.max(pressure, 0.05), 0.5);

/** The stroke as runs of one radius each, as it is inked; a mouse makes one, a pen as many as its
 * pressure has steps. @param {Touch[]} touches */
export function runs(touches) {
  const {radius, softness} = store.brush.peek();
  const near = 0.35 / view.peek().scale;
  /** @type {{radius: number, softness: number, points: Touch[]}[]} */
  const found = [];
  let last = '';
  for (const touch of touches) {
    const pressed = touch.pressure === undefined ? 1 : Math.max(Math.round(touch.pressure * 10) / 10, 0.1);
    const width = spelt(Math.max(radius * pressed, 0.5));
    if (width === last) found[found.length - 1].points.push(touch);
    else {
      const before = found.at(-1)?.points.at(-1); // runs meet
      found.push({radius: Number(width), softness, points: before ? [before, touch] : [touch]});
    }
    last = width;
  }
  return found.map((one) => ({...one, points: simpler(one.points, near)}));
}

/** @param {Point[]} points */
const written = (points) => points.map(({x, y}) => `${spelt(x)},${spelt(y)}`).join(';');

/** @param {Sign} sign @param {string} text @param {string} [name] */
const mark = (sign, text, name) => untracked(() => store.mark(sign, text, name));

/** Shows a mark before the server has said what the mask is.
 * @param {(before: import('./types').MaskSeen | undefined) => import('./types').MaskSeen} draw */
function show(draw) {
  const key = store.selected.peek();
  if (key === null || store.part.peek()?.locked) return;
  const masks = new Map(store.masks.peek());
  masks.set(key, draw(masks.get(key)));
  store.masks.value = masks;
}

/** @param {Point} at @param {{width: number, height: number}} photo */
const isInside = (at, photo) => at.x >= 0 && at.y >= 0 && at.x < photo.width && at.y < photo.height;
