// The keyboard: one table, from which the help is made, too.
import {cancel, start} from './running.js';
import {remove, startNew} from './regions.js';
import {TOOLS, resizeBrush} from './rail.js';
import {roll} from './strip.js';
import {space} from './pointing.js';
import * as camera from './camera.js';
import * as store from './store.js';
import * as tools from './tools.js';

/** @typedef {{keys: string, does: string, run: () => void, shown?: string}} Shortcut */

const setSoftness = (/** @type {number} */ by) => {
  const {radius, softness} = store.brush.peek();
  store.brush.value = {radius, softness: Math.min(Math.max(Math.round((softness + by) * 10) / 10, 0), 1)};
};
/** @param {'split' | 'result'} mode */
const toggle = (mode) => {
  if (store.shown.peek()) store.mode.value = store.mode.peek() === mode ? 'photo' : mode;
};

/** @type {{title: string, keys: Shortcut[]}[]} */
export const SHORTCUTS = [
  {title: 'Tools', keys: [
    ...TOOLS.map(({tool, label, keys}) => ({keys: keys.toLowerCase(), does: label, run: () => void (store.tool.value = tool)})),
    {keys: '[', does: 'Smaller brush', run: () => resizeBrush(1 / 1.2)},
    {keys: ']', does: 'Larger brush', run: () => resizeBrush(1.2)},
    {keys: '{', shown: 'Shift+[', does: 'Harder brush', run: () => setSoftness(-0.1)},
    {keys: '}', shown: 'Shift+]', does: 'Softer brush', run: () => setSoftness(0.1)},
  ]},
  {title: 'Regions', keys: [
    {keys: 'n', does: 'New region with the next mark', run: startNew},
    {keys: '1', shown: '1 – 9', does: 'Choose a region, from the bottom', run: () => null},
    {keys: 'delete', does: 'Remove the region', run: removeChosen},
    {keys: 'ctrl+z', does: 'Undo', run: store.undo},
    {keys: 'ctrl+shift+z', does: 'Redo', run: store.redo},
    {keys: 'ctrl+y', does: 'Redo', run: store.redo},
  ]},
  {title: 'View', keys: [
    {keys: '\\', does: 'Hold: the photo', run: () => void (store.isHeld.value = true)},
    {keys: 's', does: 'Split: photo and result', run: () => toggle('split')},
    {keys: 'r', does: 'Result, or the photo', run: () => toggle('result')},
    {keys: 't', does: 'Show regions, or not', run: () => void (store.isMarked.value = !store.isMarked.peek())},
    {keys: '+', does: 'Zoom in', run: () => camera.zoom(1.25)},
    {keys: '-', does: 'Zoom out', run: () => camera.zoom(1 / 1.25)},
    {keys: '0', does: 'Fit', run: camera.fit},
    {keys: '.', does: 'One pixel for each pixel', run: camera.actual},
  ]},
  {title: 'Run', keys: [
    {keys: 'p', does: 'Preview now', run: () => void start('preview')},
    {keys: 'ctrl+enter', does: 'Render', run: () => void start('render')},
    {keys: 'escape', does: 'Cancel the run', run: () => void cancel()},
    {keys: 'd', does: 'Another seed', run: roll},
  ]},
  {title: 'Files', keys: [
    {keys: 'ctrl+o', does: 'Open', run: () => void (store.dialog.value = 'open')},
    {keys: 'ctrl+s', does: 'Save', run: () => store.photo.peek() && void (store.dialog.value = 'save')},
    {keys: 'ctrl+shift+c', does: 'Copy as command, recipe or Python', run: () => store.photo.peek() && void (store.dialog.value = 'copy')},
    {keys: '?', does: 'This list', run: () => void (store.dialog.value = 'help')},
  ]},
];

function removeChosen() {
  const key = store.selected.peek();
  if (key !== null) remove(key);
}

/** @param {KeyboardEvent} event */
function spelled(event) {
  const key = event.key === 'Backspace' ? 'delete' : event.key === '=' ? '+' : event.key.toLowerCase();
  const isLetter = key.length > 1 || /[a-z]/.test(key);
  return [(event.ctrlKey || event.metaKey) && 'ctrl', event.shiftKey && isLetter && 'shift', key].filter(Boolean).join('+');
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement
    && (target.matches('textarea, select, input:not([type=range]):not([type=checkbox])') || target.isContentEditable);
}

export function follow() {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const spelt = spelled(event);
    if (isTyping(event.target) && !spelt.startsWith('ctrl+')) return;
    if (isTyping(event.target) && ['ctrl+z', 'ctrl+shift+z', 'ctrl+y', 'ctrl+shift+c'].includes(spelt)) return;
    if (event.key === ' ' && (event.target === document.body || /** @type {HTMLElement} */ (event.target).id === 'stage')) {
      space(true);
      return event.preventDefault();
    }
    if (/^[1-9]$/.test(spelt)) return choose(Number(spelt));
    const found = SHORTCUTS.flatMap((group) => group.keys).find(({keys}) => keys === spelt);
    if (!found) return;
    if (spelt === 'escape' && tools.isBusy()) return tools.drop();
    event.preventDefault();
    found.run();
  });
  addEventListener('keyup', (event) => {
    if (event.key === '\\') store.isHeld.value = false;
    if (event.key === ' ') space(false);
  });
  addEventListener('blur', () => {
    store.isHeld.value = false;
    space(false);
  });
}

/** @param {number} place */
function choose(place) {
  const one = store.doc.peek().parts[place - 1];
  if (one) store.selected.value = one.key;
}
