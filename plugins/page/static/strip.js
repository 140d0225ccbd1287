// The strip of results, newest first: click to go back to one, with the recipe it was made from.
import {html} from './ui.js';
import {IconButton} from './icons.js';
import {duration} from './shelf.js';
import {usePicture} from './thumbnail.js';
import {forget, goBack} from './running.js';
import {withRest} from './document.js';
import * as store from './store.js';

export function Strip() {
  const results = store.results.value;
  if (!store.photo.value) return null;
  return html`
    <section class="strip" aria-label="Results">
      <div class="variant">
        <${IconButton} icon="dice" label="Another seed" keys="D" onClick=${roll} />
        <span class="seed" title="Seed">${String(store.doc.value.rest.seed ?? 0)}</span>
      </div>
      ${results.length === 0 && html`<p class="dim">Results will gather here; the photo itself is never changed.</p>`}
      <ol>${results.map((one) => html`<${Made} key=${one.id} one=${one} />`)}</ol>
    </section>`;
}

/** Another seed, and so another variant. */
export function roll() {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] % 100000;
  store.edit((doc) => withRest(doc, {seed}));
}

/** @param {{one: import('./types').Result}} props */
function Made({one}) {
  const url = usePicture(`results/${one.id}/preview`);
  const seconds = Object.values(one.report.seconds ?? {}).reduce((sum, value) => sum + value, 0);
  const isShown = one.id === store.shown.value;
  const words = `${one.kind === 'render' ? 'Full render' : 'Preview'}, seed ${one.asked.seed ?? 0}, ${duration(seconds)}`;
  return html`
    <li class=${isShown ? 'shown' : ''}>
      <button type="button" class="made" aria-pressed=${String(isShown)} onClick=${() => goBack(one)} title=${`${words}: go back to this`}>
        ${url ? html`<img src=${url} alt="" />` : html`<span class="thumb sign"></span>`}
        <span class=${`badge ${one.kind}`}>${one.kind === 'render' ? 'full' : 'quick'}</span>
        <span class="caption">${one.asked.seed ? `seed ${one.asked.seed} · ` : ''}${duration(seconds)}</span>
        <span class="unseen">go back to this</span>
      </button>
      <${IconButton} icon="close" label="Forget this result" class="forget" onClick=${() => forget(one)} />
    </li>`;
}
