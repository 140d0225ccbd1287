// What the edit says of all regions: its words, how many steps, under what, whose colours.
import {html} from './ui.js';
import {Palette, Slider, Text} from './fields.js';
import {withRest} from './document.js';
import * as store from './store.js';

export function WholeEdit() {
  if (!store.photo.value || !store.doc.value.parts.length) return null;
  const rest = /** @type {Record<string, any>} */ (store.doc.value.rest);
  const put = (/** @type {string} */ field) => (/** @type {unknown} */ value) =>
    store.edit((doc) => withRest(doc, {[field]: value}), `edit.${field}`);
  return html`
    <details class="whole">
      <summary>The whole edit${said(rest)}</summary>
      <div class="fields">
        <${Text} label="Prompt" value=${rest.prompt} hint="what the photo shows" onChange=${put('prompt')} />
        <${Text} label="Without" value=${rest.negative} hint="what is not to be drawn" onChange=${put('negative')} />
        <${Palette} value=${rest.palette} usual="as the styles say" onChange=${put('palette')} />
        <${Slider} label="Steps" value=${rest.steps} usual=${null} least=${1} most=${60} step=${1} onChange=${put('steps')} />
        <${Text} label="Accelerator" value=${rest.accelerator} hint="a LoRA’s file, for few steps" isWhole
                 onChange=${put('accelerator')} />
        <p class="dim">Steps are those of a render and of what is saved; a preview takes few.</p>
      </div>
    </details>`;
}

/** How much it says, in words, where it is shut. @param {Record<string, any>} rest */
function said(rest) {
  const names = Object.entries({prompt: 'prompt', negative: 'without', palette: 'colours', steps: 'steps', accelerator: 'accelerator'})
    .filter(([field]) => rest[field] !== undefined).map(([, name]) => name);
  return names.length ? html` <span class="dim">${names.join(', ')}</span>` : '';
}
