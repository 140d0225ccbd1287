// What is seen first, asked for before the rest of the page is loaded: what the server has open, and
// its picture. It is shown where the stage will be; `session.js` and `pictures.js` take it from here,
// once, and the stage when it paints.
import {get, picture, takeToken} from './api.js';

takeToken();

/** @type {Promise<import('./types').Hello> | null} */
let hello = get('hello');
/** @type {Promise<{id: string, bitmap: ImageBitmap} | null> | null} */
let bitmap = hello.then(async ({photo}) =>
  photo && {id: photo.id, bitmap: await picture(`photos/${photo.id}/preview`)});
bitmap.then((found) => found && show(found.bitmap), () => null); // refused or gone: whoever takes it, or asks again, says so

const early = document.createElement('canvas');
let shownAt = 0;

/** @param {ImageBitmap} bitmap */
function show(bitmap) {
  early.className = 'first';
  early.ariaHidden = 'true';
  [early.width, early.height] = [bitmap.width, bitmap.height];
  early.getContext('2d')?.drawImage(bitmap, 0, 0);
  document.body.append(early);
  requestAnimationFrame(() => setTimeout(() => (shownAt ||= performance.now()))); // after that frame
}

/** The stage shows the picture itself from now on.
 * @returns {number} milliseconds from the start of the page to the first picture on the screen */
export function handOver() {
  early.remove();
  early.width = early.height = 0;
  return (shownAt ||= performance.now());
}

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
