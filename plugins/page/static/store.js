// What the page shows, as signals, and the one way to change the document: `edit`.
import {batch, computed, signal} from './ui.js';
import * as documents from './document.js';
import * as histories from './history.js';

/** @typedef {import('./types').Doc} Doc @typedef {import('./types').Part} Part */

/** @template T @param {T} value @returns {import('./ui').Signal<T>} */
const kept = (value) => signal(value);

export const photo = kept(/** @type {import('./types').Photo | null} */ (null));
export const hello = kept(/** @type {import('./types').Hello | null} */ (null));
export const model = kept(/** @type {import('./types').Model} */ ({state: 'unloaded', backbone: ''}));
export const link = kept(/** @type {'connecting' | 'up' | 'gone' | 'refused' | 'anew'} */ ('connecting'));

export const history = kept(histories.begun(documents.EMPTY));
export const doc = computed(() => history.value.now);
export const selected = kept(/** @type {number | null} */ (null));
export const part = computed(() => doc.value.parts.find((one) => one.key === selected.value) ?? null);

export const tool = kept(/** @type {import('./types').Tool} */ ('object'));
export const brush = kept({radius: 24, softness: 0.3});
export const tolerance = kept(20);
export const segmenters = kept(/** @type {{name: string, usable: boolean, why: string | null, prompts: string[]}[]} */ ([]));

export const masks = kept(/** @type {ReadonlyMap<number, import('./types').MaskSeen>} */ (new Map()));
export const coverages = kept(/** @type {ReadonlyMap<number, import('./types').Coverage>} */ (new Map()));
export const overlap = kept(0);
/** What is wrong, by region (0: about no region). */
export const problems = kept(/** @type {ReadonlyMap<number, readonly import('./types').Problem[]>} */ (new Map()));

export const styles = kept(/** @type {readonly import('./types').Style[]} */ ([]));
export const encoders = kept(/** @type {readonly {name: string, trains?: boolean}[]} */ ([]));
export const results = kept(/** @type {readonly import('./types').Result[]} */ ([]));
export const shown = kept(/** @type {string | null} */ (null)); // a result's id
export const mode = kept(/** @type {'photo' | 'result' | 'split'} */ ('photo'));
export const isHeld = kept(false); // the key that shows the photo is down
export const split = kept(0.5);
export const isMarked = kept(true); // regions are tinted
export const isLive = kept(true); // previews start by themselves
/** The run on the screen, and what it last said. */
export const run = kept(/** @type {{job: import('./types').Job, step: import('./types').Step | null} | null} */ (null));
export const training = kept(/** @type {{job: import('./types').Job, step: import('./types').Step | null, key: number | null} | null} */ (null));
export const estimate = kept(/** @type {{preview: number | null, render: number | null, device: string} | null} */ (null));
export const segmenting = kept(/** @type {'none' | 'busy' | 'ready' | 'failed'} */ ('none'));
export const dialog = kept(/** @type {string | null} */ (null));
export const notes = kept(/** @type {readonly {id: number, text: string, kind: 'plain' | 'error' | 'good', where?: string}[]} */ ([]));
export const zoom = kept(1);
export const isTaken = kept(false); // another tab saved over this one's state

/** The colour of the region that the next mark belongs to. */
export function colour() {
  return part.peek()?.colour ?? documents.colourOf(documents.nextKey(doc.peek().parts));
}

/** Changes the document; a non-empty `group` joins the changes of one slider to one step.
 * @param {(doc: Doc) => Doc} change @param {string} [group] */
export function edit(change, group = '') {
  history.value = histories.changed(history.peek(), change(history.peek().now), group, Date.now());
}

export function undo() {
  stepped(histories.undone(history.peek()));
}

export function redo() {
  stepped(histories.redone(history.peek()));
}

/** @param {typeof history.value} to */
function stepped(to) {
  batch(() => {
    history.value = to;
    const keys = to.now.parts.map((one) => one.key);
    if (selected.peek() !== null && !keys.includes(/** @type {number} */ (selected.peek())))
      selected.value = keys.at(-1) ?? null;
  });
}

let counted = 0;
/** Says something that passes. @param {string} text @param {'plain' | 'error' | 'good'} [kind] */
export function note(text, kind = 'plain') {
  const id = ++counted;
  notes.value = [...notes.peek().filter((one) => one.text !== text).slice(-2), {id, text, kind}];
  setTimeout(() => dropNote(id), kind === 'error' ? 12000 : 5000);
}

/** @param {number} id */
export function dropNote(id) {
  notes.value = notes.peek().filter((one) => one.id !== id);
}

/** The mask of a new region, or more of the selected one. @param {'+' | '-'} sign @param {string} text
 * @param {string} [name] what a new region is called */
export function mark(sign, text, name) {
  const at = part.peek();
  if (at?.locked) return note(`${at.name} is locked: unlock it, or press N for a new region`);
  if (at && typeof at.region.mask !== 'string')
    return note(`${at.name} has a mask of its own segmenter: press N for a new region`);
  if (at) return edit((now) => documents.withMask(now, at.key, sign, text));
  if (sign === '-') return note('Nothing to take away from: choose a region first');
  addRegion(text, name);
}

/** @param {string} mask @param {string} [name] */
export function addRegion(mask, name) {
  batch(() => {
    edit((now) => documents.added(now, {mask}, name));
    selected.value = doc.peek().parts.at(-1)?.key ?? null;
  });
}
