// What one region says: style, strength, words, and how it is drawn.
import {html} from './ui.js';
import {IconButton} from './icons.js';
import {Palette, Slider, Text, Window} from './fields.js';
import {withRegion} from './document.js';
import {remove} from './regions.js';
import {styleOf} from './styling.js';
import * as store from './store.js';

/** @param {{one: import('./types').Part}} props */
export function RegionFields({one}) {
  const {region, key, name} = one;
  const put = (/** @type {string} */ field) => (/** @type {unknown} */ value) =>
    store.edit((doc) => withRegion(doc, key, {[field]: value}), `${key}.${field}`);
  return html`
    <div class="fields">
      <${Ways} one=${one} />
      ${region.style && html`
        <${Slider} label="Strength" value=${region.strength} usual=${1} least=${0} most=${2} step=${0.05}
                   onChange=${put('strength')} />`}
      <${Text} label="Prompt" value=${region.prompt} hint=${hint(region)} onChange=${put('prompt')} />
      <${Text} label="Without" value=${region.negative} hint="what is not to be drawn" onChange=${put('negative')} />
      <${Palette} value=${region.palette} usual="as the edit" onChange=${put('palette')} />
      <${Slider} label="Structure" value=${region.structure} usual=${null} least=${0} most=${1} step=${0.05}
                 onChange=${put('structure')} />
      <${Slider} label="Feather" value=${region.feather} usual=${usual('feather', 2)} least=${0} most=${64} step=${1}
                 unit=" px" onChange=${put('feather')} />
      ${region.style && html`<${Window} value=${region.window} onChange=${put('window')} />`}
      <${Mask} one=${one} put=${put('mask')} />
      <p class="row end">
        <button type="button" class="quiet danger" onClick=${() => remove(key)} title="Delete">
          Remove ${name}
        </button>
      </p>
    </div>`;
}

/** @param {import('./types').RecipeRegion} region */
function hint(region) {
  return styleOf(region.style)?.trigger || (region.style ? 'what the region shows' : 'a style, or words');
}

/** @param {string} field @param {number} otherwise */
function usual(field, otherwise) {
  return /** @type {number} */ (store.doc.value.rest[field] ?? otherwise);
}

/** A picture can be a style in several ways. @param {{one: import('./types').Part}} props */
function Ways({one: {region, key}}) {
  const style = styleOf(region.style);
  const ways = style?.ways ?? [];
  if (!region.style) return null;
  const give = (/** @type {any} */ event) => store.edit((doc) => withRegion(doc, key, {style: event.target.value}));
  return html`
    <p class="field text">
      <span class="label">Style</span>
      ${ways.length > 1
        ? html`<select aria-label="How the picture is a style" value=${region.style} onChange=${give}>
            ${ways.map((way) => html`<option value=${way.style}>${style?.name}, ${way.name}</option>`)}
          </select>`
        : html`<span class="grow">${style?.name ?? region.style}</span>`}
      <${IconButton} icon="close" label="No style" onClick=${() => store.edit((doc) => withRegion(doc, key, {style: undefined, strength: undefined, window: undefined}))} />
    </p>`;
}

/** The selection as text, for those who like to write. @param {{one: import('./types').Part, put: (value: unknown) => void}} props */
function Mask({one: {region, locked}, put}) {
  if (typeof region.mask !== 'string') return html`<p class="dim">A mask of its own segmenter, as the recipe says.</p>`;
  return html`
    <details class="written">
      <summary>Selection as text</summary>
      <textarea rows="3" spellcheck=${false} value=${region.mask} disabled=${locked} aria-label="Selection as text"
                onChange=${(/** @type {any} */ event) => event.target.value.trim() && put(event.target.value.trim())}></textarea>
    </details>`;
}
