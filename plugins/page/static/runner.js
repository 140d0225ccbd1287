// The run: what is going on, how long it will take, and the buttons that start and stop it.
import {html} from './ui.js';
import {Icon} from './icons.js';
import {isDrawn, isStyled} from './document.js';
import {cancel, isCurrent, start} from './running.js';
import {duration, left} from './shelf.js';
import * as store from './store.js';

/** @type {Record<string, string>} */
const PHASES = {
  load: 'Loading the model', resolve: 'Looking', segment: 'Finding objects', invert: 'Reading the photo',
  pivot: 'Reading the photo', denoise: 'Drawing', check: 'Checking', paste: 'Pasting', write: 'Writing',
};

export function Runner() {
  const run = store.run.value;
  return html`
    <section class="runner" aria-label="Run">
      ${run ? html`<${Progress} run=${run} />` : html`<${Ready} />`}
    </section>`;
}

/** What is done now, how far, and how long that will take. @param {import('./types').Step} step */
export function counted({phase, index, total, seconds_left}) {
  return `${PHASES[phase] ?? phase}${total > 1 ? ` ${index}/${total}` : ''}${left(seconds_left)}`;
}

/** @param {{run: NonNullable<typeof store.run.value>}} props */
function Progress({run: {job, step}}) {
  const name = job.kind === 'render' ? 'Render' : job.kind === 'save' ? 'Save' : 'Preview';
  const isLoading = store.model.value.state === 'loading';
  const phase = step ? counted(step)
    : isLoading ? `Loading the model ${store.model.value.backbone}` : job.state === 'waiting' ? 'Waiting its turn' : 'Starting';
  return html`
    <div class="progress">
      <p class="row">
        <span class="grow" role="status"><b>${name}</b> · ${phase}</span>
        <button type="button" class="quiet" onClick=${cancel} title="Cancel (Esc)">Cancel</button>
      </p>
      <progress max="1" value=${step?.fraction ?? undefined} aria-label=${`${name}: progress`}></progress>
    </div>`;
}

function Ready() {
  const doc = store.doc.value;
  const [drawn, open] = [doc.parts.filter(isDrawn), doc.parts.filter((one) => !isStyled(one) && !one.hidden)];
  const {preview, render, device} = store.estimate.value ?? {preview: null, render: null, device: ''};
  const expected = (/** @type {number | null} */ seconds) => (seconds === null ? '' : ` · about ${duration(seconds)}`);
  const isOff = !drawn.length || store.link.value !== 'up';
  return html`
    <div class="ready">
      <p class="dim why">${said(drawn.length, open.length)}${isOld() ? ' · what is shown is of an earlier recipe' : ''}</p>
      <p class="row">
        <label class="switch" title="A preview starts by itself after every change">
          <input type="checkbox" role="switch" checked=${store.isLive.value}
                 onChange=${(/** @type {any} */ event) => (store.isLive.value = event.target.checked)} />
          <span>Live</span>
        </label>
        <button type="button" disabled=${isOff} onClick=${() => start('preview')} title="Preview now (P)">
          Preview${expected(preview)}
        </button>
        <button type="button" class="main" disabled=${isOff} onClick=${() => start('render')}
                title=${`At the full setting${device && ` on ${device}`} (Ctrl+Enter)`}>
          <${Icon} name="spark" />Render${expected(render)}
        </button>
      </p>
    </div>`;
}

/** Whether the result on the screen is not what the edit says now, as when previews do not start by themselves. */
const isOld = () => Boolean(store.shown.value) && !isCurrent();

/** @param {number} drawn @param {number} open */
function said(drawn, open) {
  const {state, backbone, device} = store.model.value;
  const regions = (/** @type {number} */ n) => (n === 1 ? '1 region' : `${n} regions`);
  if (state === 'failed') return `The model ${backbone} could not be loaded: ${store.model.value.error?.message ?? ''}`;
  if (!drawn) return open ? `${regions(open)} without a style: nothing is drawn yet` : 'A region with a style is drawn by itself';
  const model = {loading: `loading ${backbone}…`, unloaded: `${backbone}, not loaded yet`, ready: [backbone, device].filter(Boolean).join(' on ')}[state];
  return `${regions(drawn)} to draw${open ? `, ${open} without a style left out` : ''} · ${model}`;
}
