// The stage without a mouse: arrow keys move a crosshair, Enter uses the tool where it is.
import {toPhoto, toScreen} from './view.js';
import {segments} from './segments.js';
import * as camera from './camera.js';
import * as store from './store.js';
import * as tools from './tools.js';

/** @type {Record<string, number[]>} */
const WAYS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
let isOn = false;

/** The mouse moved: the crosshair goes. */
export function closeKeys() {
  isOn = tools.pointer.isCrossed = false;
}

/** @param {KeyboardEvent} event */
export function onStageKey(event) {
  const way = WAYS[event.key];
  if (way && !event.ctrlKey && !event.metaKey) step(way, event.shiftKey ? 40 : 8);
  else if (event.key === 'Enter' && isOn) use(event.altKey);
  else if (event.key === 'Escape' && tools.isBusy()) tools.drop();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** @param {number[]} way @param {number} length CSS pixels */
function step([dx, dy], length) {
  const {width, height} = camera.room.peek();
  const view = camera.view.peek();
  const from = isOn && tools.pointer.at ? toScreen(view, tools.pointer.at) : {x: width / 2, y: height / 2};
  const to = isOn ? {x: from.x + dx * length, y: from.y + dy * length} : from;
  isOn = tools.pointer.isCrossed = true;
  const away = (/** @type {number} */ at, /** @type {number} */ most) => Math.min(0, at - 24) + Math.max(0, at - most + 24);
  camera.pan(-away(to.x, width), -away(to.y, height));
  const at = toPhoto(camera.view.peek(), {x: to.x - away(to.x, width), y: to.y - away(to.y, height)});
  if (tools.isBusy()) tools.move([at]);
  else tools.hover(at);
}

/** Enter begins a stroke, box or lasso, and ends it. @param {boolean} isAway */
function use(isAway) {
  const {at} = tools.pointer;
  if (!at || !store.photo.peek()) return;
  if (tools.isBusy()) tools.end();
  else {
    tools.begin(at, isAway);
    if (['object', 'colour'].includes(store.tool.peek())) tools.end();
  }
}

/** What is under the crosshair, in words. */
export function underWords() {
  tools.pointed.value;
  const {number, isCrossed} = tools.pointer;
  const found = isCrossed ? segments.value.get(number) : null;
  return found ? `${found.label ?? 'object'} ${number}, ${Math.round(found.area * 100)} % of the photo` : '';
}
