// The first look at a photo: its segments, as one map that hovering reads.
import {computed, effect, signal} from './ui.js';
import {call, get, listen, send} from './api.js';
import {labelMap} from './labels.js';
import {seen} from './pictures.js';
import * as store from './store.js';

/** @type {import('./ui').Signal<import('./labels.js').LabelMap | null>} */
export const labels = signal(/** @type {import('./labels.js').LabelMap | null} */ (null));
/** @type {import('./ui').Signal<ReadonlyMap<number, import('./types').Segment>>} */
export const segments = signal(new Map());

/** Who answers: the recipe's segmenter, else the usual one. */
export function segmenter() {
  return /** @type {string | {name: string}} */ (store.doc.value.rest.segmenter ?? 'classic');
}

export function segmenterName() {
  const who = segmenter();
  return typeof who === 'string' ? who : who.name;
}

const asked = computed(() => JSON.stringify(segmenter()));

export function follow() {
  effect(() => {
    const photo = store.photo.value;
    const who = asked.value;
    if (!photo || seen.value !== photo.id || store.link.value !== 'up') return;
    const stop = new AbortController();
    look(photo.image, JSON.parse(who), stop.signal).catch((error) => {
      if (stop.signal.aborted) return;
      store.segmenting.value = 'failed';
      store.note(String(error.message), 'error');
    });
    return () => stop.abort();
  });
}

/** @param {string} image @param {unknown} who @param {AbortSignal} signal */
async function look(image, who, signal) {
  labels.value = null;
  store.segmenting.value = 'busy';
  let job = await send('segments', {image, segmenter: who}, signal);
  if (job.state !== 'done') {
    await listen(`jobs/${job.id}/events`, (name, data) => {
      if (['done', 'failed', 'cancelled'].includes(name)) job = data;
    }, signal);
  }
  if (signal.aborted) return;
  if (!job.result) throw new Error(job.error?.message ?? 'looking for objects was stopped');
  const id = job.result.segments;
  const [found, map] = await Promise.all([
    get(`segments/${id}`, signal), call(`segments/${id}/map`, {signal}).then((answer) => answer.arrayBuffer()),
  ]);
  if (signal.aborted) return;
  segments.value = new Map(found.segments.map((/** @type {import('./types').Segment} */ one) => [one.number, one]));
  labels.value = labelMap(new Uint16Array(map), found.width, found.height);
  store.segmenting.value = 'ready';
}

export async function readSegmenters() {
  store.segmenters.value = (await get('segmenters')).segmenters;
}
