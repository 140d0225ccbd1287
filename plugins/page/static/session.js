// The tab's tie to the server: opening photos, hearing what happens, coming back after either of
// them was gone, and the document saved by itself.
import {batch, effect, signal} from './ui.js';
import {Gone, Refusal, get, listen, send, upload} from './api.js';
import {firstHello} from './first.js';
import {EMPTY, fromRecipe} from './document.js';
import {begun} from './history.js';
import {forgotten, recall} from './running.js';
import {readStyles} from './styling.js';
import * as store from './store.js';

/** @typedef {import('./types').Photo} Photo @typedef {import('./types').Recipe} Recipe */

const SAVE_AFTER = 500; // ms of quiet
let revision = 0;
const isRestored = signal(false); // from then on changes are saved
let isBegun = false;
/** @type {unknown} */
let unsaved = null;
let isSaving = false;
let known = ''; // the state as it was when it was last read or saved

/** Connects, and goes on doing so. */
export async function live() {
  for (let wait = 300; ; wait = Math.min(wait * 1.5, 4000)) {
    try {
      await connected();
      wait = 300;
    } catch (error) {
      if (error instanceof Refusal && error.status < 404) {
        store.link.value = isBegun ? 'anew' : 'refused';
        return;
      }
      if (!(error instanceof Gone)) console.error(error);
    }
    if (store.link.peek() === 'up' || store.link.peek() === 'connecting') store.link.value = 'gone';
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function connected() {
  const said = await firstHello();
  store.hello.value = said;
  store.model.value = said.model;
  // Once it was gone, only the stream says that it is back: an answer or two is no tie.
  if (store.link.peek() !== 'gone') store.link.value = 'up';
  // Beside the stream: what is said while the edit is fetched is heard, too.
  if (!isBegun) restored(said).catch((error) => console.error(error));
  await listen('events', heard, new AbortController().signal);
}

/** @param {string} name @param {any} data */
function heard(name, data) {
  if (name !== 'bye') store.link.value = 'up';
  if (name === 'hello') modelled(data.model); // it may be another since it was first asked
  else if (name === 'model') modelled(data);
  else if (name === 'bye') store.link.value = 'gone';
  else if (name === 'photo' && data.id === store.photo.peek()?.id)
    store.note(data.state === 'gone'
      ? 'The photo’s file is not there any more: put it back before rendering'
      : 'The photo’s file has changed: open it again to see it', 'error');
}

/** @param {import('./types').Model} model */
function modelled(model) {
  const isNew = model.state === 'ready' && store.model.peek().state !== 'ready';
  store.model.value = model;
  if (isNew) readStyles(); // now it is known which of them fit
}

/** Shows what the server was started with, or what this folder's page last showed.
 * @param {import('./types').Hello} said */
async function restored(said) {
  isBegun = true;
  if (said.photo) store.photo.value = said.photo; // its picture is under way while the rest is asked
  const kept = await get('state').catch(() => ({revision: 0, state: null}));
  revision = kept.revision;
  const {state} = kept;
  const isSame = state && (!said.photo || state.photo === said.photo.id)
    && JSON.stringify(said.recipe ?? null) === JSON.stringify(state.given ?? null);
  if (isSame && !said.photo && state.image) {
    const opened = await send('open', {path: state.image, as: 'photo'}).catch(() => null);
    if (opened?.photo.id === state.photo) store.photo.value = opened.photo;
  }
  const photo = store.photo.peek();
  if (!photo) return void (isRestored.value = true);
  batch(() => {
    const fresh = begunWith(said.recipe);
    const doc = isSame ? state.doc : fresh;
    store.history.value = begun(doc);
    store.selected.value = isSame ? state.selected : doc.parts.at(-1)?.key ?? null;
    if (isSame) known = JSON.stringify({...state, given: said.recipe ?? null});
    isRestored.value = true;
  });
  if (isSame && state.doc.parts.length) store.note('Went on where you left off');
  await recall().catch(() => null);
  if (isSame && store.results.peek().some((one) => one.id === state.shown)) {
    batch(() => ([store.shown.value, store.mode.value] = [state.shown, state.mode ?? 'result']));
  }
}

/** Saves the document after every change. */
export function follow() {
  effect(() => {
    const [photo, doc, selected, shown, mode] = [
      store.photo.value, store.doc.value, store.selected.value, store.shown.value, store.mode.value,
    ];
    if (!photo || !isRestored.value || store.isTaken.value || store.link.value !== 'up') return;
    const given = store.hello.peek()?.recipe ?? null;
    const state = {photo: photo.id, image: photo.image, doc, selected, shown, mode, given};
    const text = JSON.stringify(state);
    if (!known && !doc.parts.length) known = text; // nothing was done yet
    if (text === known) return;
    const timer = setTimeout(() => {
      known = text;
      save(state);
    }, SAVE_AFTER);
    return () => clearTimeout(timer);
  });
}

/** Saves one state after the other, of several that wait only the last: each names the one before.
 * @param {unknown} state */
async function save(state) {
  unsaved = state;
  if (isSaving) return;
  isSaving = true;
  try {
    while (unsaved) {
      [state, unsaved] = [unsaved, null];
      ({revision} = await send('state', {revision, state}, undefined, 'PUT'));
    }
  } catch (error) {
    if (error instanceof Refusal && error.status === 409) store.isTaken.value = true;
    else if (!(error instanceof Gone)) store.note(String(/** @type {Error} */ (error).message), 'error');
  } finally {
    isSaving = false;
  }
}

/** Another tab saved meanwhile: from now on this one does. */
export async function takeOver() {
  ({revision} = await get('state'));
  store.isTaken.value = false;
}

/** The document of a recipe; without one, an empty one on the server's backbone.
 * @param {Recipe | null} recipe @returns {import('./types').Doc} */
function begunWith(recipe) {
  if (recipe) return fromRecipe(recipe);
  const backbone = store.hello.peek()?.backbone;
  return backbone && backbone !== 'mini' ? {...EMPTY, rest: {backbone}} : EMPTY;
}

/** @param {{photo: Photo, recipe: Recipe | null}} opened */
function show({photo, recipe}) {
  forgotten();
  const doc = begunWith(recipe);
  batch(() => {
    store.photo.value = photo;
    store.history.value = begun(doc);
    store.selected.value = doc.parts.at(-1)?.key ?? null;
    store.dialog.value = null;
  });
  recall().catch(() => null);
  readStyles();
}

/** @param {Blob & {name?: string}} file */
export async function openFile(file) {
  await shown(() => upload(`upload?name=${encodeURIComponent(file.name || 'pasted.png')}`, file));
}

/** @param {string} path of the root's folder @param {'photo'} [as] */
export async function openPath(path, as) {
  await shown(() => send('open', as ? {path, as} : {path}));
}

/** @param {() => Promise<any>} ask */
async function shown(ask) {
  try {
    show(await ask());
  } catch (error) {
    store.note(String(/** @type {Error} */ (error).message), 'error');
  }
}
