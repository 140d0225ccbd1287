// The pictures in memory: one preview of the photo, one of the result shown, the newest step of a
// run, and tiles of what is looked at closely. Never more, whatever the photo's size.
import {effect, signal} from './ui.js';
import {call, picture} from './api.js';
import {firstOf, handOver} from './first.js';
import {Tiles} from './tiles.js';
import * as store from './store.js';

/** Counts up whenever there is something new to paint. */
export const painted = signal(0);
/** @type {{photo: ImageBitmap | null, result: ImageBitmap | null, step: ImageBitmap | null}} */
export const bitmaps = {photo: null, result: null, step: null};
/** @type {{photo: Tiles | null, result: Tiles | null}} */
export const tiles = {photo: null, result: null};
/** Milliseconds from the start of the page to the photo's first picture on the screen; 0 before. */
export const firstPicture = signal(0);

/** The photo whose picture is here; what costs the server more is asked only then. */
export const seen = signal('');

/** The picture has been painted. */
export function wasPainted() {
  if (bitmaps.photo) firstPicture.value ||= handOver();
}

export function repaint() {
  painted.value = painted.peek() + 1;
}

/** @param {'photo' | 'result' | 'step'} which @param {ImageBitmap | null} bitmap */
export function put(which, bitmap) {
  bitmaps[which]?.close();
  bitmaps[which] = bitmap;
  repaint();
}

export function follow() {
  effect(() => {
    const photo = store.photo.value;
    tiles.photo?.close();
    tiles.photo = photo && new Tiles(`photos/${photo.id}/tiles`, photo, repaint);
    put('photo', null);
    if (!photo) return;
    return loading((signal) => firstOf(photo.id, signal), (bitmap) => {
      put('photo', bitmap);
      seen.value = photo.id;
    });
  });
  effect(() => {
    const id = store.shown.value;
    tiles.result?.close();
    tiles.result = null;
    if (!id) return put('result', null);
    return loading((signal) => picture(`results/${id}/preview`, signal), (bitmap) => {
      put('result', bitmap);
      put('step', null);
      const photo = store.photo.peek();
      const held = store.results.peek().find((one) => one.id === id)?.held;
      if (held && photo) tiles.result = new Tiles(`results/${id}/tiles`, photo, repaint);
    });
  });
}

/** Fetches a picture unless something newer is asked first.
 * @param {(signal: AbortSignal) => Promise<ImageBitmap>} ask
 * @param {(bitmap: ImageBitmap) => void} came @returns {() => void} */
function loading(ask, came) {
  const stop = new AbortController();
  ask(stop.signal).then((bitmap) => {
    if (stop.signal.aborted) bitmap.close();
    else came(bitmap);
  }, (error) => {
    if (!stop.signal.aborted) store.note(String(error.message), 'error');
  });
  return () => stop.abort();
}

/** @type {Map<string, Promise<string>>} */
const thumbnails = new Map();

/** A small picture as an address for `<img>`, fetched once. @param {string} path */
export function thumbnail(path) {
  let found = thumbnails.get(path);
  if (!found) {
    found = call(path).then(async (answer) => URL.createObjectURL(await small(await answer.blob())));
    found.catch(() => thumbnails.delete(path));
    thumbnails.set(path, found);
  }
  return found;
}

/** A picture no larger than a thumbnail needs to be. @param {Blob} blob */
async function small(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, 256 / Math.max(bitmap.width, bitmap.height));
  if (scale === 1) return blob;
  const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({type: 'image/jpeg', quality: 0.85});
}
