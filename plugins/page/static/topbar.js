// The bar at the top: which photo, back and forth, what is shown, and what to do with it.
import {html} from './ui.js';
import {IconButton} from './icons.js';
import * as camera from './camera.js';
import * as store from './store.js';

export function TopBar() {
  const photo = store.photo.value;
  const {past, next} = store.history.value;
  return html`
    <header class="topbar">
      <h1><img src="static/logo.svg" alt="" /> <span>locstyle</span></h1>
      <button type="button" class="quiet photo-name" onClick=${() => (store.dialog.value = 'open')} title="Open a photo (Ctrl+O)">
        ${photo ? html`${photo.name} <span class="dim">${photo.width} × ${photo.height}${photo.depth > 8 ? ` · ${photo.depth} bit` : ''}</span>` : 'Open a photo…'}
      </button>
      <span class="group">
        <${IconButton} icon="undo" label="Undo" keys="Ctrl+Z" isOff=${!past.length} onClick=${store.undo} />
        <${IconButton} icon="redo" label="Redo" keys="Ctrl+Shift+Z" isOff=${!next.length} onClick=${store.redo} />
      </span>
      <span class="space"></span>
      <${Modes} />
      <${IconButton} icon="tint" label="Show regions" keys="T" isOn=${store.isMarked.value} isOff=${!photo}
                     onClick=${() => (store.isMarked.value = !store.isMarked.value)} />
      <${Zoom} />
      <span class="space"></span>
      <span class="group">
        <button type="button" class="quiet" disabled=${!photo} onClick=${() => (store.dialog.value = 'copy')}
                title="Copy as command, recipe or Python (Ctrl+Shift+C)">Copy as…</button>
        <button type="button" disabled=${!photo} onClick=${() => (store.dialog.value = 'save')} title="Save at full resolution (Ctrl+S)">Save…</button>
        <${IconButton} icon="help" label="Keyboard shortcuts" keys="?" onClick=${() => (store.dialog.value = 'help')} />
      </span>
    </header>`;
}

function Modes() {
  const isOff = !store.shown.value && !store.run.value;
  const one = (/** @type {typeof store.mode.value} */ mode, /** @type {string} */ label, /** @type {string} */ title) => html`
    <button type="button" aria-pressed=${String(store.mode.value === mode)} disabled=${isOff} title=${title}
            onClick=${() => (store.mode.value = mode)}>${label}</button>`;
  return html`
    <span class="modes" role="group" aria-label="What is shown">
      ${one('photo', 'Photo', 'The photo; hold \\ to see it for a moment')}
      ${one('split', 'Split', 'Photo and result side by side (S)')}
      ${one('result', 'Result', 'The result (R)')}
    </span>`;
}

function Zoom() {
  const isOff = !store.photo.value;
  return html`
    <span class="group zoom">
      <button type="button" class="quiet" disabled=${isOff} onClick=${() => camera.zoom(1 / 1.25)} aria-label="Zoom out" title="Zoom out (−)">−</button>
      <button type="button" class="quiet percent" disabled=${isOff} onClick=${camera.fit} title="Fit (0); 100 % is .">${Math.round(store.zoom.value * 100)} %</button>
      <button type="button" class="quiet" disabled=${isOff} onClick=${() => camera.zoom(1.25)} aria-label="Zoom in" title="Zoom in (+)">+</button>
    </span>`;
}
