// Previews, renders and what comes of them. A preview begins by itself after a quarter of a second
// without a change, only when what would be drawn is another; the newest wins.
import {batch, effect, untracked} from './ui.js';
import {Gone, Refusal, call, get, listen, send} from './api.js';
import {fromRecipe, isDrawn, toRecipe} from './document.js';
import {refused} from './asking.js';
import {bitmaps, put} from './pictures.js';
import * as store from './store.js';

const QUIET = 250; // ms
const CLIENT = 'locstyle-client';

/** @typedef {import('./types').Job} Job @typedef {import('./types').Result} Result */

let asked = ''; // the recipe that the newest preview or render was asked for
let watching = new AbortController();
/** @type {Map<string, import('./types').Doc>} */
const documents = new Map(); // by result: the document with its names and hidden regions

/** @returns {string} what tells this tab's previews from another's */
function client() {
  const known = sessionStorage.getItem(CLIENT) ?? crypto.randomUUID();
  sessionStorage.setItem(CLIENT, known);
  return known;
}

/** What would be drawn now; null where there is nothing. */
export function drawn() {
  const [photo, doc] = [store.photo.value, store.doc.value];
  if (!photo) return null;
  const found = toRecipe(doc, photo.image, isDrawn);
  return found.keys.length ? {...found, text: JSON.stringify(found.recipe)} : null;
}

export function follow() {
  effect(() => {
    const what = drawn();
    const isFree = store.isLive.value && store.link.value === 'up' && store.run.value?.job.kind !== 'render';
    if (!what || !isFree || what.text === asked) return;
    const timer = setTimeout(() => untracked(() => start('preview')), QUIET);
    return () => clearTimeout(timer);
  });
}

/** @param {'preview' | 'render'} kind */
export async function start(kind) {
  const what = drawn();
  if (!what) return store.note('Nothing to draw yet: a region needs a mask and a style');
  asked = what.text;
  try {
    const job = await send(kind, {recipe: what.recipe, client: client()});
    if (asked === what.text) await watch(job, what.keys, store.doc.peek());
  } catch (error) {
    failed(error, what.keys);
  }
}

/** @param {unknown} error @param {number[]} keys */
function failed(error, keys) {
  store.run.value = null;
  if (error instanceof Gone) asked = '';
  else if (error instanceof Refusal && error.status !== 429) refused({...error, message: error.message}, keys);
  else store.note(String(/** @type {Error} */ (error).message), 'error');
}

/** Follows a job to its end. @param {Job} job @param {number[]} keys @param {import('./types').Doc} doc */
export async function watch(job, keys, doc) {
  watching.abort();
  watching = new AbortController();
  const {signal} = watching;
  store.run.value = {job, step: null};
  await listen(`jobs/${job.id}/events`, (name, data) => {
    if (signal.aborted) return;
    if (name === 'state') store.run.value = {job: data, step: store.run.peek()?.step ?? data.step};
    else if (name === 'step') store.run.value = {job: store.run.peek()?.job ?? job, step: data};
    else if (name === 'picture') showStep(job.id, signal);
    else if (name === 'done') finished(data, doc);
    else if (name === 'cancelled') store.run.value = null;
    else if (name === 'failed') {
      store.run.value = null;
      refused(data.error, keys);
    }
  }, signal);
}

/** @param {string} id @param {AbortSignal} signal */
async function showStep(id, signal) {
  try {
    const blob = await (await call(`jobs/${id}/picture`, {signal})).blob();
    const bitmap = await createImageBitmap(blob);
    if (signal.aborted) return bitmap.close();
    put('step', bitmap);
    if (store.mode.peek() === 'photo' && !store.shown.peek()) store.mode.value = 'result';
  } catch { /* the next one will come */ }
}

/** @param {Job} job @param {import('./types').Doc} doc */
function finished(job, doc) {
  const result = /** @type {Result} */ (job.result);
  watching.abort(); // a picture of a step that comes late would hide the result
  documents.set(result.id, doc);
  batch(() => {
    store.run.value = null;
    if (!store.shown.peek() && store.mode.peek() === 'photo') store.mode.value = 'result';
    store.results.value = [result, ...store.results.peek().filter((one) => one.id !== result.id)].slice(0, 100);
    store.shown.value = result.id;
  });
}

/** Stops the run on the screen; its last picture stays. */
export async function cancel() {
  const job = store.run.peek()?.job;
  if (!job) return;
  try {
    await send(`jobs/${job.id}/cancel`);
  } catch (error) {
    store.note(String(/** @type {Error} */ (error).message), 'error');
  }
}

/** Shows an earlier result, with the document it was made from. @param {Result} result */
export function goBack(result) {
  const photo = store.photo.peek();
  const doc = documents.get(result.id) ?? fromRecipe(result.asked, store.doc.peek());
  if (photo) asked = JSON.stringify(toRecipe(doc, photo.image, isDrawn).recipe);
  batch(() => {
    put('step', null);
    store.edit(() => doc);
    store.shown.value = result.id;
    if (store.mode.peek() === 'photo') store.mode.value = 'result';
    if (!doc.parts.some((one) => one.key === store.selected.peek())) store.selected.value = null;
  });
}

/** @param {Result} result */
export async function forget(result) {
  await send(`results/${result.id}`, {}, undefined, 'DELETE').catch(() => null);
  store.results.value = store.results.peek().filter((one) => one.id !== result.id);
  if (store.shown.peek() === result.id) store.shown.value = store.results.peek()[0]?.id ?? null;
}

/** The results of this photo that an earlier load of the page made. */
export async function recall() {
  const photo = store.photo.peek();
  if (!photo) return;
  const {results} = await get('results');
  store.results.value = results.filter((/** @type {Result} */ one) => one.photo === photo.id);
  await rejoin();
}

/** Goes on with the render that this tab asked for before it was loaded anew. */
async function rejoin() {
  const {jobs} = await get('jobs');
  const isMine = (/** @type {Job} */ one) => one.client === client() && ['waiting', 'running'].includes(one.state);
  const job = jobs.find((/** @type {Job} */ one) => one.kind === 'render' && isMine(one));
  const what = untracked(drawn);
  if (!job || !what) return;
  asked = what.text;
  watch(job, what.keys, store.doc.peek()).catch((error) => failed(error, what.keys));
}

/** Whether the result shown is what the document would draw. */
export function isCurrent() {
  const result = store.results.value.find((one) => one.id === store.shown.value);
  return Boolean(result) && drawn()?.text === asked && !store.run.value;
}

/** A new photo: nothing was asked for it, nothing is shown. */
export function forgotten() {
  watching.abort();
  asked = '';
  put('step', null);
  bitmaps.step = null;
  documents.clear();
  batch(() => {
    [store.run.value, store.shown.value, store.results.value, store.mode.value] = [null, null, [], 'photo'];
  });
}
