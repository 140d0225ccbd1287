// The list of regions, the topmost first, and what is wrong with each, where it is.
import {html} from './ui.js';
import {Icon, IconButton} from './icons.js';
import {Thumbnail} from './thumbnail.js';
import {RegionFields} from './region.js';
import {WholeEdit} from './whole.js';
import {isStyled, moved, removed, withPart} from './document.js';
import {bring, give, styleOf} from './styling.js';
import * as store from './store.js';

/** @typedef {import('./types').Part} Part */

const REGION = 'application/x-locstyle-region';
export const STYLE = 'application/x-locstyle-style';

export function Regions() {
  const parts = [...store.doc.value.parts].reverse();
  return html`
    <section class="regions" aria-labelledby="regions-title">
      <header class="head">
        <h2 id="regions-title">Regions</h2>
        ${store.overlap.value > 0.0005 && html`<span class="dim">${percent(store.overlap.value)} overlap</span>`}
        <span class="space"></span>
        ${parts.length > 0 && html`
          <button type="button" class="quiet" onClick=${() => store.addRegion('rest', 'Everything else')}
                  title="A region of all that no other claims">+ the rest</button>`}
        <${IconButton} icon="plus" label="New region" keys="N" isOn=${store.selected.value === null && parts.length > 0}
                       onClick=${startNew} isOff=${!store.photo.value} />
      </header>
      ${parts.length === 0 && html`<${Invitation} />`}
      ${parts.length > 0 && store.selected.value === null && html`
        <p class="starts"><span class="swatch dashed"></span>Your next click or stroke starts a new region.</p>`}
      <ul>${parts.map((one) => html`<${Card} key=${one.key} one=${one} />`)}</ul>
      <${WholeEdit} />
      <${Problems} problems=${store.problems.value.get(0)} />
    </section>`;
}

/** The next mark makes a region of its own. */
export function startNew() {
  store.selected.value = null;
  document.getElementById('stage')?.focus({preventScroll: true});
}

function Invitation() {
  if (!store.photo.value) return html`<p class="dim pad">Regions of the photo will be listed here.</p>`;
  return html`
    <p class="dim pad">Point at something in the photo and click it. That is a region; then give it a style.</p>
    <p class="pad row">
      <button type="button" onClick=${() => store.addRegion('all', 'Whole photo')}>Use the whole photo</button>
    </p>`;
}

/** @param {{one: Part}} props */
function Card({one}) {
  const isChosen = one.key === store.selected.value;
  const problems = store.problems.value.get(one.key);
  const choose = () => (store.selected.value = one.key);
  return html`
    <li class=${`card ${isChosen ? 'chosen' : ''} ${one.hidden ? 'hidden' : ''}`} style=${{'--colour': one.colour}}
        data-region=${one.key} onDragOver=${over} onDragLeave=${away} onDrop=${(/** @type {DragEvent} */ e) => dropped(e, one)}>
      <div class="line">
        <span class="grip" draggable="true" title="Drag to reorder" aria-hidden="true"
              onDragStart=${(/** @type {DragEvent} */ e) => e.dataTransfer?.setData(REGION, String(one.key))}>
          <${Icon} name="grip" />
        </span>
        <button type="button" class="pick" aria-pressed=${String(isChosen)} onClick=${choose}
                onKeyDown=${(/** @type {KeyboardEvent} */ e) => onCardKey(e, one)}
                aria-label=${`${one.name}. ${styleWords(one)}`} aria-describedby=${`facts-${one.key}`}>
          <${Thumbnail} style=${styleOf(one.region.style)} />
        </button>
        <div class="what" onClick=${choose}>
          <input class="name" value=${one.name} aria-label="Name of the region" spellcheck=${false} tabindex=${isChosen ? 0 : -1}
                 onChange=${(/** @type {any} */ e) => rename(one, e.target.value)} />
          <${Facts} one=${one} />
        </div>
        <${IconButton} icon=${one.hidden ? 'shut' : 'eye'} label=${one.hidden ? `Use ${one.name} again` : `Leave ${one.name} out`}
                       isOn=${one.hidden} onClick=${() => put(one, {hidden: !one.hidden})} />
        <${IconButton} icon=${one.locked ? 'locked' : 'open'} label=${one.locked ? `Unlock ${one.name}` : `Lock ${one.name}`}
                       isOn=${one.locked} onClick=${() => put(one, {locked: !one.locked})} />
      </div>
      <${Problems} problems=${problems} />
      ${isChosen && html`<${RegionFields} one=${one} />`}
    </li>`;
}

/** @param {{one: Part}} props */
function Facts({one}) {
  const found = store.coverages.value.get(one.key);
  const covered = found && found.coverage > 0.0005 && found.coverage - found.alone > 0.0005;
  return html`
    <span class="facts" id=${`facts-${one.key}`}>
      ${isStyled(one) ? html`<span>${styleWords(one)}</span>` : html`<strong class="unstyled">no style yet</strong>`}
      ${found && !found.error && html`<span> · ${percent(found.coverage)}</span>`}
      ${covered && html`<span> · ${percent(found.coverage - found.alone)} under others</span>`}
    </span>`;
}

/** @param {Part} one */
function styleWords({region}) {
  const style = styleOf(region.style);
  if (region.styles?.length) return region.styles.map((each) => each.style).join(', then ');
  return style?.name ?? region.style?.split('/').at(-1) ?? (region.prompt ? 'by its prompt' : 'no style yet');
}

/** @param {{problems: readonly import('./types').Problem[] | undefined}} props */
export function Problems({problems}) {
  if (!problems?.length) return null;
  return html`
    <div class="problems" role="alert">
      ${problems.map((one) => html`<p><${Icon} name="warn" /><span>${one.message}</span></p>`)}
    </div>`;
}

/** @param {number} share */
export function percent(share) {
  return `${share >= 0.0995 ? Math.round(share * 100) : Math.round(share * 1000) / 10} %`;
}

/** @param {Part} one @param {Partial<Part>} what */
function put(one, what) {
  store.edit((doc) => withPart(doc, one.key, what));
}

/** @param {Part} one @param {string} name */
function rename(one, name) {
  if (name.trim() && name !== one.name) put(one, {name: name.trim()});
}

/** @param {number} key */
export function remove(key) {
  store.edit((doc) => removed(doc, key));
  if (store.selected.peek() === key) store.selected.value = store.doc.peek().parts.at(-1)?.key ?? null;
}

/** Alt with an arrow moves a region, Delete removes it. @param {KeyboardEvent} event @param {Part} one */
function onCardKey(event, one) {
  const way = {ArrowUp: 1, ArrowDown: -1}[event.key];
  const at = store.doc.peek().parts.findIndex((each) => each.key === one.key);
  if (event.altKey && way) store.edit((doc) => moved(doc, one.key, at + way));
  else return;
  event.preventDefault();
}

/** @param {DragEvent} event */
function over(event) {
  event.preventDefault();
  const card = /** @type {HTMLElement} */ (event.currentTarget);
  card.classList.add(event.dataTransfer?.types.includes(REGION) ? 'over-place' : 'over');
}

/** @param {DragEvent} event */
function away(event) {
  /** @type {HTMLElement} */ (event.currentTarget).classList.remove('over', 'over-place');
}

/** A region takes the place of the one it is dropped on; a style, or a file that is one, becomes its style.
 * @param {DragEvent} event @param {Part} one */
function dropped(event, one) {
  event.preventDefault();
  event.stopPropagation();
  away(event);
  const carried = event.dataTransfer;
  if (!carried) return;
  const key = Number(carried.getData(REGION));
  const style = store.styles.peek().find(({id}) => id === carried.getData(STYLE));
  if (key) store.edit((doc) => moved(doc, key, doc.parts.findIndex((each) => each.key === one.key)));
  else if (style) give(style, one.key);
  else if (carried.files[0]) bring(carried.files[0], one.key);
  if (!key) store.selected.value = one.key;
}
