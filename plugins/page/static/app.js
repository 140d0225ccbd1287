// The page: `locstyle edit photo.jpg` as a photo editor. It shows and asks; the server does the work.
import {effect, html, render} from './ui.js';
import {Dialogs} from './dialogs.js';
import {followDrops, Welcome} from './opening.js';
import {Rail, ToolOptions} from './rail.js';
import {Regions} from './regions.js';
import {Runner} from './runner.js';
import {Shelf} from './shelf.js';
import {Stage} from './stage.js';
import {Strip} from './strip.js';
import {readStyles} from './styling.js';
import {TopBar} from './topbar.js';
import * as asking from './asking.js';
import * as camera from './camera.js';
import * as keys from './keys.js';
import * as pictures from './pictures.js';
import * as running from './running.js';
import * as segments from './segments.js';
import * as session from './session.js';
import * as store from './store.js';

function App() {
  return html`
    <${TopBar} />
    <${Banner} />
    <main>
      <${Rail} />
      <div class="middle">
        <${ToolOptions} />
        <div class="field-of-view">
          <${Stage} />
          <${Welcome} />
          <${Notes} />
        </div>
        <${Strip} />
      </div>
      <aside aria-label="Regions and styles">
        <${Regions} /><${Shelf} />
        <${Runner} />
      </aside>
    </main>
    <${Dialogs} />`;
}

/** What is wrong with the tie to the server, and what to do. */
function Banner() {
  const words = {
    connecting: '', up: '',
    gone: 'The server does not answer. Your edit is kept here; trying again…',
    refused: 'This address has no valid token. Open the one that locstyle printed when it started.',
    anew: 'locstyle was started anew. Open the address that it printed: your edit is there.',
  }[store.link.value];
  if (words) return html`<p class="banner" role="alert">${words}</p>`;
  if (!store.isTaken.value) return null;
  return html`
    <p class="banner" role="alert">This edit was changed in another tab; nothing from here is saved meanwhile.
      <button type="button" onClick=${session.takeOver}>Go on here</button>
      <button type="button" onClick=${() => location.reload()}>Take over what is there</button></p>`;
}

function Notes() {
  return html`
    <div class="notes" role="status" aria-live="polite">
      ${store.notes.value.map(({id, text, kind}) => html`
        <p key=${id} class=${`note ${kind}`}>${text}
          <button type="button" class="quiet" aria-label="Dismiss" onClick=${() => store.dropNote(id)}>×</button></p>`)}
    </div>`;
}

render(html`<${App} />`, /** @type {Element} */ (document.getElementById('app')));
for (const one of [pictures, segments, asking, running, session, keys]) one.follow();
followDrops();
session.live();
const end = effect(() => {
  const [hello, photo] = [store.hello.value, store.photo.value];
  if (!hello || (hello.photo && pictures.seen.value !== photo?.id)) return;
  queueMicrotask(() => end()); // once, when the picture is there
  readStyles();
  segments.readSegmenters().catch(() => null);
});
// For tests and the curious; nothing here reads it.
Object.assign(window, {locstyle: {store, pictures, segments, camera}});
