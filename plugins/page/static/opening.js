// Opening a photo: dropped, pasted, chosen, or from the folder that the server was started in.
import {html, useEffect, useState} from './ui.js';
import {get} from './api.js';
import {chooseFile, Dialog} from './fields.js';
import {Icon} from './icons.js';
import {openFile, openPath} from './session.js';
import * as store from './store.js';

const KINDS = 'image/*,.tif,.tiff,.heic,.yaml,.yml,.json';
const choose = () => chooseFile(KINDS, openFile);

/** What stands where a photo will be. */
export function Welcome() {
  if (store.photo.value || store.link.value === 'connecting') return null;
  return html`
    <div class="welcome">
      <h2>Drop a photo here</h2>
      <p class="dim">or paste one. A PNG made by locstyle, or a recipe, opens as what it was made from.</p>
      <p><button type="button" class="main" onClick=${choose}>Choose a file…</button></p>
      <${Folder} />
    </div>`;
}

export function OpenDialog() {
  const close = () => (store.dialog.value = null);
  return html`
    <${Dialog} title="Open" onClose=${close}>
      <p class="dim">Anything dropped on the page or pasted opens, too.</p>
      <p><button type="button" class="main" onClick=${choose}>Choose a file…</button></p>
      <${Folder} />
    <//>`;
}

/** The pictures and recipes of the folder. */
function Folder() {
  const [path, go] = useState('');
  const [found, put] = useState(/** @type {{folders: string[], files: {path: string, kind: string}[]} | null} */ (null));
  useEffect(() => {
    get(`files?path=${encodeURIComponent(path)}`).then(put, () => put(null));
  }, [path]);
  const files = found?.files.filter((one) => one.kind !== 'style') ?? [];
  if (!found || (!files.length && !found.folders.length && !path)) return null;
  const above = path.split('/').slice(0, -1).join('/');
  return html`
    <div class="folder">
      <h3>${path || store.hello.value?.root.split('/').at(-1) || 'Folder'}</h3>
      <ul>
        ${path && html`<li><button type="button" class="quiet" onClick=${() => go(above)}>..</button></li>`}
        ${found.folders.map((one) => html`
          <li><button type="button" class="quiet" onClick=${() => go(path ? `${path}/${one}` : one)}><${Icon} name="folder" />${one}</button></li>`)}
        ${files.map((one) => html`
          <li><button type="button" class="quiet" onClick=${() => openPath(one.path)}>${one.path.split('/').at(-1)}</button></li>`)}
      </ul>
    </div>`;
}

/** Files that come over the page, wherever they are let go. */
export function followDrops() {
  const room = document.body;
  let inside = 0;
  const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files');
  addEventListener('dragenter', (event) => carries(event) && ++inside && room.classList.add('dropping'));
  addEventListener('dragleave', (event) => carries(event) && --inside <= 0 && room.classList.remove('dropping'));
  addEventListener('dragover', (event) => carries(event) && event.preventDefault());
  addEventListener('drop', (event) => {
    inside = 0;
    room.classList.remove('dropping');
    const file = event.dataTransfer?.files[0];
    if (event.defaultPrevented || !file) return;
    event.preventDefault();
    openFile(file);
  }, false);
  addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (file) openFile(file);
  });
}
