// What is asked after every change of the document: the masks of its regions, what would be refused,
// and how long a run would take. Answers to an older document are dropped.
import {batch, effect} from './ui.js';
import {Gone, picture, send} from './api.js';
import {isDrawn, toRecipe} from './document.js';
import {maskSize, seen as seenMask} from './ink.js';
import {seen} from './pictures.js';
import * as store from './store.js';

/** @typedef {import('./types').Problem} Problem */

const AGAIN = 1500; // ms
/** @type {Map<number, Problem[]>} */
let ofMasks = new Map();
/** @type {Map<number, Problem[]>} */
let ofRuns = new Map();
/** What was refused at a region, such as a file that was dropped on it: it stands there until the
 * region is another, whatever is asked of the document meanwhile.
 * @type {Map<number, {problem: Problem, region: import('./types').RecipeRegion}>} */
const ofDrops = new Map();

export function follow() {
  effect(() => {
    const [photo, doc] = [store.photo.value, store.doc.value];
    seen.value;
    if (ofDrops.size) say();
    const stop = new AbortController();
    const timer = setTimeout(() => photo && seen.peek() === photo.id && askMasks(photo, doc, stop.signal).catch(quiet), 60);
    return () => (clearTimeout(timer), stop.abort());
  });
  effect(() => {
    const [photo, doc] = [store.photo.value, store.doc.value];
    store.model.value; // what a model that is ready refuses, it says only then
    store.results.value; // and how long a run takes is known after one
    const stop = new AbortController();
    const timer = setTimeout(() => photo && seen.peek() === photo.id && askRun(photo, doc, stop.signal).catch(quiet), 180);
    return () => (clearTimeout(timer), stop.abort());
  });
}

/** @param {Error} error */
function quiet(error) {
  if (!(error instanceof Gone) && error.name !== 'AbortError') store.note(error.message, 'error');
}

/** @param {import('./types').Photo} photo @param {import('./types').Doc} doc @param {AbortSignal} signal */
async function askMasks(photo, doc, signal) {
  const {recipe, keys} = toRecipe(doc, photo.image, (one) => Boolean(one.region.mask));
  if (!keys.length) return told(new Map(), new Map(), 0);
  const answer = await send('masks', {recipe}, signal);
  if (signal.aborted) return;
  const masks = new Map();
  const coverages = new Map();
  ofMasks = new Map();
  await Promise.all(keys.map(async (key, i) => {
    const {mask, coverage, error, warnings} = answer.regions[i];
    const said = [...(error ? [error] : []), ...(warnings ?? [])];
    if (said.length) ofMasks.set(key, said);
    coverages.set(key, {coverage, alone: answer.alone?.[i] ?? coverage, error});
    const known = store.masks.peek().get(key);
    if (mask && known?.id === mask) masks.set(key, known);
    else if (mask) masks.set(key, await fetchMask(mask, photo, signal));
  }));
  if (!signal.aborted) told(masks, coverages, answer.overlap ?? 0);
}

/** @param {string} id @param {import('./types').Photo} photo @param {AbortSignal} signal */
async function fetchMask(id, photo, signal) {
  const {width, height} = maskSize(photo);
  const how = {resizeWidth: width, resizeHeight: height, resizeQuality: /** @type {const} */ ('medium')};
  const bitmap = await picture(`masks/${id}`, signal, how);
  const mask = seenMask(bitmap, id);
  bitmap.close();
  return mask;
}

/** @param {Map<number, import('./types').MaskSeen>} masks
 * @param {Map<number, import('./types').Coverage>} coverages @param {number} overlap */
function told(masks, coverages, overlap) {
  batch(() => {
    store.masks.value = masks;
    store.coverages.value = coverages;
    store.overlap.value = overlap;
    say();
  });
}

/** @param {import('./types').Photo} photo @param {import('./types').Doc} doc @param {AbortSignal} signal */
async function askRun(photo, doc, signal) {
  const {recipe, keys} = toRecipe(doc, photo.image, isDrawn);
  if (!keys.length) {
    ofRuns = new Map();
    store.estimate.value = null;
    return say();
  }
  const [{errors, warnings}, estimate] = await Promise.all([
    send('validate', {recipe}, signal), send('estimate', {recipe}, signal),
  ]);
  if (signal.aborted) return;
  store.estimate.value = estimate;
  ofRuns = byRegion([...errors, ...(warnings ?? [])], keys);
  say();
  await askTime(recipe, signal);
}

/** How long a run takes is not known while the model is busy: asked until it is.
 * @param {unknown} recipe @param {AbortSignal} signal */
async function askTime(recipe, signal) {
  for (let turn = 0; turn < 20 && store.model.peek().state === 'ready' && store.estimate.peek()?.preview === null; turn++) {
    await new Promise((done) => setTimeout(done, AGAIN));
    if (signal.aborted) return;
    const estimate = await send('estimate', {recipe}, signal);
    if (signal.aborted) return;
    store.estimate.value = estimate;
  }
}

/** What a run refused, shown where it belongs. @param {Problem} problem @param {number[]} keys */
export function refused(problem, keys) {
  ofRuns = byRegion([problem], keys);
  say();
}

/** What was refused at one region and changed nothing of it. @param {Problem} problem @param {number} key */
export function refusedAt(problem, key) {
  const part = store.doc.peek().parts.find((one) => one.key === key);
  if (part) ofDrops.set(key, {problem, region: part.region});
  say();
}

/** @param {Problem[]} problems @param {number[]} keys @returns {Map<number, Problem[]>} */
function byRegion(problems, keys) {
  const found = new Map();
  for (const problem of problems) {
    const index = /^regions\[(\d+)\]/.exec(problem.place ?? '');
    const key = index ? keys[Number(index[1])] ?? 0 : 0;
    found.set(key, [...(found.get(key) ?? []), problem]);
  }
  return found;
}

function say() {
  const all = new Map(ofRuns);
  for (const [key, problems] of ofMasks) put(all, key, problems);
  for (const [key, {problem, region}] of ofDrops) {
    const isAsItWas = store.doc.peek().parts.some((one) => one.key === key && one.region === region);
    if (isAsItWas) put(all, key, [problem]);
    else ofDrops.delete(key);
  }
  store.problems.value = all;
}

/** @param {Map<number, readonly Problem[]>} all @param {number} key @param {readonly Problem[]} problems come first */
function put(all, key, problems) {
  const others = (all.get(key) ?? []).filter((one) => !problems.some((p) => p.message === one.message));
  all.set(key, [...problems, ...others]);
}
