// The shelf of styles: thumbnails with a search; click gives one to the region, dragging to any.
import {html, useState} from './ui.js';
import {Icon} from './icons.js';
import {Thumbnail} from './thumbnail.js';
import {STYLE} from './regions.js';
import {chooseFile} from './fields.js';
import {bring, give, stopLearning} from './styling.js';
import * as store from './store.js';

/** @typedef {import('./types').Style} Style */

/** @type {Record<string, string>} */
const KINDS = {deltas: 'LoRA', words: 'word', tokens: 'tokens', references: 'picture', reference: 'picture'};

export function Shelf() {
  const [sought, seek] = useState('');
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const own = store.photo.value?.image; // the photo is a picture of the folder, too
  const found = store.styles.value.filter((one) => one.style !== own && words.every((word) => told(one).includes(word)));
  const style = store.part.value?.region.style;
  return html`
    <section class="shelf" aria-labelledby="styles-title">
      <header class="head">
        <h2 id="styles-title">Styles</h2>
        <label class="search">
          <${Icon} name="search" />
          <input type="search" placeholder="Search" aria-label="Search styles" value=${sought}
                 onInput=${(/** @type {any} */ event) => seek(event.target.value)} />
        </label>
      </header>
      <ul class="tiles">
        ${found.map((one) => html`<${Tile} key=${one.id} one=${one} isOn=${has(one, style)} />`)}
      </ul>
      ${found.length === 0 && html`<p class="dim pad">${sought ? 'No style is called that.' : 'No styles yet.'}</p>`}
      <${Learning} />
      <p class="row pad more">
        <button type="button" onClick=${() => chooseFile('image/*,.safetensors', (file) => bring(file, store.selected.peek()))}
                title="A painting, or a .safetensors; or drop it on a region">Add a file…</button>
        <button type="button" onClick=${() => (store.dialog.value = 'learn')}>Learn from a picture…</button>
      </p>
    </section>`;
}

/** @param {Style} one @param {string | undefined} text */
function has(one, text) {
  return Boolean(text) && (one.style === text || Boolean(one.ways?.some((way) => way.style === text)));
}

/** @param {Style} one */
function told(one) {
  return [one.name, one.kind, KINDS[one.kind], one.trigger, one.origin].join(' ').toLowerCase();
}

/** @param {{one: Style, isOn: boolean}} props */
function Tile({one, isOn}) {
  const start = (/** @type {DragEvent} */ event) => event.dataTransfer?.setData(STYLE, one.id);
  const isUnfit = one.fits === false;
  const why = isUnfit ? one.why ?? 'of another family' : '';
  return html`
    <li>
      <button type="button" class=${`tile ${isOn ? 'on' : ''} ${isUnfit ? 'unfit' : ''}`} aria-pressed=${String(isOn)}
              draggable="true" onDragStart=${start} onClick=${() => give(one)} title=${why || one.name}>
        <${Thumbnail} style=${one} />
        <span class="called">${one.name}</span>
        <span class="kind">${isUnfit ? 'other family' : KINDS[one.kind] ?? one.kind}</span>
        ${why && html`<span class="unseen">${why}</span>`}
      </button>
    </li>`;
}

function Learning() {
  const now = store.training.value;
  if (!now) return null;
  const {step, job} = now;
  const share = step?.fraction ?? 0;
  return html`
    <div class="learning" role="status">
      <span>Learning a style${step ? ` · ${step.index}/${step.total}${left(step.seconds_left)}` : job.state === 'waiting' ? ' · waiting' : ''}</span>
      <progress max="1" value=${share} aria-label="Learning a style"></progress>
      <button type="button" class="quiet" onClick=${stopLearning}>Cancel</button>
    </div>`;
}

/** @param {number | null | undefined} seconds */
export function left(seconds) {
  return seconds === null || seconds === undefined ? '' : ` · ${duration(seconds)} left`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
