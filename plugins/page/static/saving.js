// Saving at full resolution, and taking the recipe elsewhere.
import {html, useEffect, useState} from './ui.js';
import {Refusal, listen, send} from './api.js';
import {Dialog} from './fields.js';
import {Problems} from './regions.js';
import {counted} from './runner.js';
import {duration} from './shelf.js';
import {drawn, isCurrent} from './running.js';
import * as store from './store.js';

/** @typedef {import('./types').Problem} Problem @typedef {import('./types').Step} Step */

const close = () => (store.dialog.value = null);

// The two rows of buttons have keys: a button made over from "Replace it" to a submitting one while its
// click is under way would submit.
export function SaveDialog() {
  const photo = /** @type {import('./types').Photo} */ (store.photo.value);
  const [path, setPath] = useState(photo.suggested);
  const [carried, carry] = useState('full');
  const [problem, refuse] = useState(/** @type {Problem | null} */ (null));
  const [step, put] = useState(/** @type {{id: string, step: Step | null} | null} */ (null));
  const [saved, done] = useState(/** @type {any} */ (null));
  const save = async (/** @type {boolean} */ force) => {
    refuse(null);
    try {
      const job = await ask({path, force, recipe: carried});
      put({id: job.id, step: null});
      const stop = new AbortController();
      await listen(`jobs/${job.id}/events`, (name, data) => {
        if (name === 'step') put({id: job.id, step: data});
        else if (name === 'done') done(data.result);
        else if (name === 'failed') refuse(data.error);
      }, stop.signal);
    } catch (error) {
      const said = /** @type {Error & {kind?: string}} */ (error);
      refuse({kind: said.kind ?? 'Gone', message: said.message, place: null});
    }
    put(null);
  };
  const isThere = problem?.kind === 'Exists';
  return html`
    <${Dialog} title="Save at full resolution" onClose=${close}>
      <form class="form" onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), save(false))}>
        <label class="field text"><span class="label">File</span>
          <input type="text" data-first value=${path} spellcheck=${false} onInput=${(/** @type {any} */ e) => (setPath(e.target.value), refuse(null), done(null))} />
        </label>
        <label class="field text"><span class="label">Carries</span>
          <select value=${carried} onChange=${(/** @type {any} */ e) => carry(e.target.value)}>
            <option value="full">its recipe, in full</option>
            <option value="names">its recipe, files by name alone</option>
            <option value="none">no recipe</option>
          </select>
        </label>
        <p class="dim">${photo.width} × ${photo.height}, ${photo.depth} bit, as the photo; its ending decides the format. In ${store.hello.value?.root}.</p>
        ${photo.not_kept.map((words) => html`<p class="dim">Not kept: ${words}</p>`)}
        ${isThere ? html`
          <div class="problems" role="alert"><p><span>${problem?.message}</span></p></div>
          <p class="row end" key="replace">
            <button type="button" onClick=${() => refuse(null)}>Another name</button>
            <button type="button" class="main" onClick=${() => save(true)}>Replace it</button>
          </p>` : html`
          <${Problems} problems=${problem ? [problem] : undefined} />
          ${step && html`<progress max="1" value=${step.step?.fraction} aria-label="Saving"></progress>
            <p class="row"><span class="grow" role="status">${step.step ? counted(step.step) : 'Starting'}</span>
            <button type="button" class="quiet" onClick=${() => send(`jobs/${step.id}/cancel`)}>Cancel</button></p>`}
          ${saved && html`<p class="good" role="status">Saved ${saved.path} · ${saved.words}${saved.is_exact || saved.outside_identical !== null ? '' : `; ${saved.format} is not lossless`}</p>`}
          <p class="row end" key="save">
            <button type="button" onClick=${close}>${saved ? 'Done' : 'Not now'}</button>
            ${!saved && html`<button type="submit" class="main" disabled=${Boolean(step)}>Save${expected()}</button>`}
          </p>`}
      </form>
    <//>`;
}

/** What saving will take: nothing much when the render is there already. */
function expected() {
  const seconds = store.estimate.value?.render;
  return isRendered() || !seconds ? '' : ` · about ${duration(seconds)}`;
}

function isRendered() {
  const result = store.results.value.find((one) => one.id === store.shown.value);
  return isCurrent() && result?.kind === 'render';
}

/** @param {{path: string, force: boolean, recipe: string}} how @returns {Promise<import('./types').Job>} */
async function ask({path, force, recipe}) {
  const id = store.shown.peek();
  if (isCurrent() && id) return send(`results/${id}/save`, {path, force, recipe});
  const what = drawn();
  if (!what) throw new Refusal(422, {kind: 'RecipeError', message: 'nothing is drawn yet: a region needs a mask and a style'});
  return send('save', {recipe: what.recipe, path, force, carried: recipe});
}

const FORMS = [['command', 'Command'], ['yaml', 'Recipe'], ['python', 'Python']];

export function CopyDialog() {
  const [form, choose] = useState('command');
  const [text, put] = useState('');
  const [said, say] = useState('');
  useEffect(() => {
    const what = drawn();
    put('');
    if (!what) return put('Nothing is drawn yet: a region needs a mask and a style.');
    send('as', {recipe: what.recipe, form}).then((answer) => put(answer.text), (error) => put(error.message));
  }, [form]);
  const copy = () => navigator.clipboard.writeText(text).then(() => say('Copied'), () => say('Select the text and copy it'));
  return html`
    <${Dialog} title="Copy as" onClose=${close} class="wide">
      <div class="modes" role="group" aria-label="Form">
        ${FORMS.map(([name, label]) => html`
          <button type="button" aria-pressed=${String(form === name)} onClick=${() => (choose(name), say(''))}>${label}</button>`)}
      </div>
      <textarea class="code" data-first readonly rows="12" spellcheck=${false} aria-label="Text to copy" value=${text}></textarea>
      <p class="dim">Run elsewhere, it gives the same pixels.</p>
      <p class="row end"><span class="grow good" role="status">${said}</span>
        <button type="button" class="main" onClick=${copy} disabled=${!text}>Copy</button></p>
    <//>`;
}
