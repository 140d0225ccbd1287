// The dialogs that are neither opening nor saving: learning a style, and the list of keys.
import {html, useState} from './ui.js';
import {chooseFile, Dialog, Text} from './fields.js';
import {CopyDialog, SaveDialog} from './saving.js';
import {OpenDialog} from './opening.js';
import {Problems} from './regions.js';
import {SHORTCUTS} from './keys.js';
import {bring, learn} from './styling.js';
import * as store from './store.js';

const close = () => (store.dialog.value = null);

export function Dialogs() {
  const name = store.dialog.value;
  if (name === 'open') return html`<${OpenDialog} />`;
  if (name === 'save' && store.photo.value) return html`<${SaveDialog} />`;
  if (name === 'copy') return html`<${CopyDialog} />`;
  if (name === 'learn') return html`<${LearnDialog} />`;
  if (name === 'help') return html`<${HelpDialog} />`;
  return null;
}

function LearnDialog() {
  const key = store.selected.peek();
  const [picture, put] = useState(/** @type {import('./types').Style | null} */ (null));
  const [name, call] = useState('mine');
  const [prompt, say] = useState('');
  const [problem, refuse] = useState('');
  const choose = () => chooseFile('image/*', async (file) => {
    const style = await bring(file, null);
    put(style);
    if (style) call(style.name.replace(/\.\w+$/, '').replaceAll(/\W+/g, '-').toLowerCase());
  });
  const begin = async (/** @type {boolean} */ force) => {
    const said = await learn({picture: /** @type {import('./types').Style} */ (picture).style, name, prompt}, key, force);
    if (said) refuse(said);
    else close();
  };
  return html`
    <${Dialog} title="Learn a style from a picture" onClose=${close}>
      <p class="dim">A LoRA is trained on the picture, which takes minutes; a preview of it as it is takes seconds: drop it on a region.</p>
      <form class="form" onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), begin(false))}>
        <p class="row"><button type="button" onClick=${choose}>${picture ? picture.name : 'Choose a picture…'}</button></p>
        <${Text} label="Name" value=${name} hint="mine" onChange=${(/** @type {string | undefined} */ to) => call(to ?? '')} />
        <${Text} label="Prompt" value=${prompt} hint=${`a painting in ${name || 'mine'} style`} onChange=${(/** @type {string | undefined} */ to) => say(to ?? '')} />
        <${Problems} problems=${problem ? [{kind: '', message: problem, place: null}] : undefined} />
        <p class="row end">
          ${problem && html`<button type="button" key="replace" onClick=${() => begin(true)}>Replace it</button>`}
          <button type="submit" class="main" disabled=${!picture || !name}>Learn</button>
        </p>
      </form>
    <//>`;
}

function HelpDialog() {
  const shown = (/** @type {import('./keys.js').Shortcut} */ one) => one.shown ?? one.keys.split('+').map((key) =>
    key.length > 1 ? key[0].toUpperCase() + key.slice(1) : key.toUpperCase()).join('+') ;
  return html`
    <${Dialog} title="Keyboard" onClose=${close} class="wide help">
      <div class="groups">
        ${SHORTCUTS.map(({title, keys}) => html`
          <section><h3>${title}</h3><dl>
            ${keys.map((one) => html`<div><dt><kbd>${one.keys === '+' ? '+' : shown(one)}</kbd></dt><dd>${one.does}</dd></div>`)}
          </dl></section>`)}
        <section><h3>Everywhere</h3><dl>
          <div><dt><kbd>Space</kbd></dt><dd>Hold and drag: move the photo</dd></div>
          <div><dt><kbd>Scroll</kbd></dt><dd>Zoom where the pointer is; two fingers on a screen</dd></div>
          <div><dt><kbd>Arrows</kbd></dt><dd>In the photo: move a crosshair; Enter uses the tool there</dd></div>
          <div><dt><kbd>Alt+↑ ↓</kbd></dt><dd>On a region: move it over or under others</dd></div>
          <div><dt><kbd>Alt</kbd></dt><dd>With any tool: take away instead of add</dd></div>
        </dl></section>
      </div>
    <//>`;
}
