// The photo or a result at full size, in tiles of what is on the screen; beyond a number of tiles
// those looked at longest ago are let go.
import {picture} from './api.js';

const KEPT = 80; // of 512 x 512 pixels, 1 MB each
const AT_ONCE = 6;

/** @typedef {{width: number, height: number, levels: number, tile: number}} Tiled */

export class Tiles {
  /** @param {string} path where they are asked for @param {Tiled} photo @param {() => void} came */
  constructor(path, photo, came) {
    this.path = path;
    this.photo = photo;
    this.came = came;
    /** @type {Map<string, ImageBitmap | null>} null: on its way, or not to be had */
    this.known = new Map();
    /** @type {string[]} */
    this.wanted = [];
    this.loading = 0;
    this.isClosed = false;
  }

  /** The tiles that cover part of the photo (x0, y0, x1, y1, photo pixels) at a scale of device
   * pixels per photo pixel: those that are here, as picture and place; the others are sent for.
   * @param {number[]} part @param {number} scale */
  covering([x0, y0, x1, y1], scale) {
    const level = Math.min(Math.max(Math.floor(Math.log2(1 / scale) + 0.25), 0), this.photo.levels - 1);
    const side = this.photo.tile * 2 ** level;
    const found = [];
    this.wanted = [];
    for (let row = Math.floor(y0 / side); row * side < y1; row++) {
      for (let column = Math.floor(x0 / side); column * side < x1; column++) {
        const bitmap = this.get(`${level}/${column}/${row}`);
        if (bitmap) found.push({bitmap, x: column * side, y: row * side, grown: 2 ** level});
      }
    }
    this.load();
    return found;
  }

  /** @param {string} name */
  get(name) {
    const bitmap = this.known.get(name);
    if (bitmap === undefined) this.wanted.push(name);
    else {
      this.known.delete(name);
      this.known.set(name, bitmap); // looked at last
    }
    return bitmap;
  }

  load() {
    while (this.loading < AT_ONCE && this.wanted.length) this.fetch(/** @type {string} */ (this.wanted.shift()));
  }

  /** @param {string} name */
  async fetch(name) {
    this.loading += 1;
    this.known.set(name, null);
    try {
      const bitmap = await picture(`${this.path}/${name}`);
      if (this.isClosed) return bitmap.close();
      this.known.set(name, bitmap);
      this.forget();
      this.came();
    } catch { /* the preview stays in its place */ } finally {
      this.loading -= 1;
      this.load();
    }
  }

  forget() {
    for (const [name, bitmap] of this.known) {
      if (this.known.size <= KEPT) return;
      bitmap?.close();
      this.known.delete(name);
    }
  }

  close() {
    this.isClosed = true;
    this.wanted = [];
    for (const bitmap of this.known.values()) bitmap?.close();
    this.known.clear();
  }
}
