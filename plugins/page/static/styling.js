// Styles: what there is, bringing in another, learning one, and giving one to a region.
import {Refusal, get, listen, send, upload} from './api.js';
import {refusedAt} from './asking.js';
import {withRegion} from './document.js';
import * as store from './store.js';

/** @typedef {import('./types').Style} Style */

export async function readStyles() {
  try {
    const answer = await get('styles');
    store.styles.value = answer.styles;
    store.encoders.value = answer.encoders ?? [];
  } catch { /* said elsewhere, when the server is gone */ }
}

/** @param {string | undefined} text what a recipe says @returns {Style | null} */
export function styleOf(text) {
  const has = (/** @type {Style} */ one) => one.style === text || one.ways?.some((way) => way.style === text);
  return (text && store.styles.value.find(has)) || null;
}

/** Gives the style to a region, the selected one if none is named.
 * @param {Style} style @param {number | null} [key] */
export function give(style, key = store.selected.peek()) {
  if (style.fits === false) return refuse(style.why ?? `${style.name} is of another family`, key);
  if (key === null) return store.note('Choose a region first: click something in the photo');
  store.edit((doc) => withRegion(doc, key, {style: style.style, styles: undefined}));
}

/** @param {string} message @param {number | null} key */
function refuse(message, key) {
  if (key === null) return store.note(message, 'error');
  refusedAt({kind: 'StyleError', message, place: 'style'}, key);
}

/** A painting or a .safetensors becomes a style, and the region's. @param {File} file @param {number | null} key */
export async function bring(file, key) {
  try {
    const style = await upload(`styles/upload?name=${encodeURIComponent(file.name)}`, file);
    store.styles.value = [style, ...store.styles.peek().filter((one) => one.id !== style.id)];
    if (key !== null) give(style, key);
    else if (style.fits === false) refuse(style.why, key);
    else store.note(`${style.name} is among the styles now`, 'good');
    return style;
  } catch (error) {
    refuse(String(/** @type {Error} */ (error).message), key);
    return null;
  }
}

/** @param {{picture: string, name: string, prompt: string}} what @param {number | null} key the region it is for
 * @param {boolean} force @returns {Promise<string | null>} what was refused */
export async function learn({picture, name, prompt}, key, force) {
  const body = {encoder: 'lora', pictures: [picture], name, prompt, force};
  try {
    const job = await send('styles/train', body);
    follow(job, key);
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** @param {import('./types').Job} job @param {number | null} key */
async function follow(job, key) {
  store.training.value = {job, step: null, key};
  await listen(`jobs/${job.id}/events`, (name, data) => {
    if (name === 'step') store.training.value = {job, step: data, key};
    else if (name === 'done') learned(data.result, key);
    else if (name === 'failed') refuse(data.error.message, key);
    else if (name === 'cancelled') store.note('Learning stopped; asked again, it goes on from there');
  }, new AbortController().signal).catch((error) => store.note(String(error.message), 'error'));
  store.training.value = null;
}

/** @param {Style} style @param {number | null} key */
function learned(style, key) {
  store.styles.value = [style, ...store.styles.peek().filter((one) => one.id !== style.id)];
  store.note(`${style.name} is learned`, 'good');
  if (key !== null && store.doc.peek().parts.some((one) => one.key === key)) give(style, key);
}

export async function stopLearning() {
  const job = store.training.peek()?.job;
  if (job) await send(`jobs/${job.id}/cancel`).catch(() => null);
}
