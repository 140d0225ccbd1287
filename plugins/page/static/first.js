// What is seen first, asked for before the rest of the page is loaded: what the server has open, and
// its picture. `session.js` and `pictures.js` take it from here, once.
import {get, picture, takeToken} from './api.js';

takeToken();

/** @type {Promise<import('./types').Hello> | null} */
let hello = get('hello');
/** @type {Promise<{id: string, bitmap: ImageBitmap} | null> | null} */
let bitmap = hello.then(async ({photo}) =>
  photo && {id: photo.id, bitmap: await picture(`photos/${photo.id}/preview`)});
bitmap.catch(() => null); // refused or gone: whoever takes it, or asks again, says so

/** @returns {Promise<import('./types').Hello>} */
export function firstHello() {
  const [taken] = [hello, (hello = null)];
  return taken ?? get('hello');
}

/** The picture of a photo, the one that is under way if it is that. @param {string} id @param {AbortSignal} signal */
export async function firstOf(id, signal) {
  const [taken] = [bitmap, (bitmap = null)];
  const found = taken && await taken.catch(() => null);
  if (found?.id === id) return found.bitmap;
  found?.bitmap.close();
  return picture(`photos/${id}/preview`, signal);
}
