// The document: an edit's recipe, in parts. Everything here is a function from one frozen document
// to the next; `history.js` keeps them, `store.js` shows the present one.
import {combined} from './selection.js';

/** @typedef {import('./types').Doc} Doc @typedef {import('./types').Part} Part */
/** @typedef {import('./types').Recipe} Recipe @typedef {import('./types').RecipeRegion} RecipeRegion */

export const VERSION = 2;
export const COLOURS = [
  '#f2a93b', '#3fa7f0', '#e8628f', '#4fc27d', '#a68cf2', '#f0754a', '#2fc0bd', '#d6c23e',
];

/** @type {Doc} */
export const EMPTY = {parts: [], rest: {}};

/** @param {readonly Part[]} parts */
export function nextKey(parts) {
  return parts.reduce((most, part) => Math.max(most, part.key), 0) + 1;
}

/** @param {number} key */
export function colourOf(key) {
  return COLOURS[(key - 1) % COLOURS.length];
}

/** A new region, on top. @param {Doc} doc @param {RecipeRegion} region @param {string} [name] @returns {Doc} */
export function added(doc, region, name) {
  const key = nextKey(doc.parts);
  return {...doc, parts: [...doc.parts, part(key, region, name)]};
}

/** @param {number} key @param {RecipeRegion} region @param {string} [name] @returns {Part} */
function part(key, region, name) {
  return {key, name: name || `Region ${key}`, colour: colourOf(key), hidden: false, locked: false, region};
}

/** @param {Doc} doc @param {number} key @param {Partial<Part>} what @returns {Doc} */
export function withPart(doc, key, what) {
  return {...doc, parts: doc.parts.map((one) => (one.key === key ? {...one, ...what} : one))};
}

/** The document with some of a region's own words changed; undefined takes one away.
 * @param {Doc} doc @param {number} key @param {Partial<RecipeRegion>} what @returns {Doc} */
export function withRegion(doc, key, what) {
  const found = doc.parts.find((one) => one.key === key);
  if (!found) return doc;
  return withPart(doc, key, {region: /** @type {RecipeRegion} */ (without({...found.region, ...what}))});
}

/** @param {Doc} doc @param {number} key @param {import('./selection.js').Sign} sign @param {string} text */
export function withMask(doc, key, sign, text) {
  const found = doc.parts.find((one) => one.key === key);
  if (!found || typeof found.region.mask !== 'string') return doc;
  return withRegion(doc, key, {mask: combined(found.region.mask, sign, text)});
}

/** @param {Doc} doc @param {Record<string, unknown>} what @returns {Doc} */
export function withRest(doc, what) {
  return {...doc, rest: without({...doc.rest, ...what})};
}

/** @param {Doc} doc @param {number} key @returns {Doc} */
export function removed(doc, key) {
  return {...doc, parts: doc.parts.filter((one) => one.key !== key)};
}

/** The document with a region moved to the place `to`, counted from the bottom.
 * @param {Doc} doc @param {number} key @param {number} to @returns {Doc} */
export function moved(doc, key, to) {
  const from = doc.parts.findIndex((one) => one.key === key);
  const place = Math.min(Math.max(to, 0), doc.parts.length - 1);
  if (from < 0 || from === place) return doc;
  const parts = doc.parts.filter((one) => one.key !== key);
  parts.splice(place, 0, doc.parts[from]);
  return {...doc, parts};
}

/** Whether a region has what a run needs: a mask, and a style or a prompt. @param {Part} one */
export function isStyled({region}) {
  return Boolean(region.style || region.styles?.length || region.prompt);
}

/** @param {Part} one */
export function isDrawn(one) {
  return !one.hidden && Boolean(one.region.mask) && isStyled(one);
}

/** The recipe of some of the parts, and which they are, so that `regions[i]` finds its part again.
 * @param {Doc} doc @param {string} image @param {(part: Part) => boolean} chosen
 * @returns {{recipe: Recipe, keys: number[]}} */
export function toRecipe(doc, image, chosen) {
  const parts = doc.parts.filter(chosen);
  const regions = parts.map((one) => one.region);
  return {recipe: {locstyle: VERSION, image, ...doc.rest, regions}, keys: parts.map((one) => one.key)};
}

/** @param {Recipe} recipe @param {Doc} [like] a document whose names and colours fit @returns {Doc} */
export function fromRecipe(recipe, like = EMPTY) {
  const {locstyle: _version, image: _image, regions, digests: _digests, frames: _frames, ...rest} = recipe;
  const parts = regions.map((region, i) => {
    const known = like.parts.find((one) => one.region.mask === region.mask);
    return known ? {...known, region} : part(nextKey(like.parts) + i, region);
  });
  return {parts: unique(parts), rest};
}

/** @param {Part[]} parts @returns {Part[]} */
function unique(parts) {
  const seen = new Set();
  return parts.map((one) => {
    const key = seen.has(one.key) ? nextKey(parts) + seen.size : one.key;
    seen.add(key);
    return {...one, key};
  });
}

/** @template {object} T @param {T} what @returns {T} */
function without(what) {
  return /** @type {T} */ (Object.fromEntries(Object.entries(what).filter(([, value]) => value !== undefined)));
}
