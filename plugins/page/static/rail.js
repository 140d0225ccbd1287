// The tools, and what belongs to the one in hand.
import {html} from './ui.js';
import {IconButton} from './icons.js';
import {underWords} from './crosshair.js';
import {segmenterName} from './segments.js';
import {withRest} from './document.js';
import * as store from './store.js';

/** @typedef {import('./types').Tool} Tool */

/** @type {{tool: Tool, label: string, keys: string, hint: string}[]} */
export const TOOLS = [
  {tool: 'object', label: 'Object', keys: 'W', hint: 'Click adds an object to the region, Alt takes it away'},
  {tool: 'box', label: 'Box', keys: 'M', hint: 'Drag a box; with Alt it is taken away'},
  {tool: 'lasso', label: 'Lasso', keys: 'L', hint: 'Draw around something; with Alt it is taken away'},
  {tool: 'colour', label: 'Colour', keys: 'C', hint: 'Click a colour: all that looks like it is added'},
  {tool: 'brush', label: 'Brush', keys: 'B', hint: 'Paint; with Alt it is taken away. [ and ] change the size'},
  {tool: 'eraser', label: 'Eraser', keys: 'E', hint: 'Take away from the region by painting. [ and ] change the size'},
  {tool: 'hand', label: 'Hand', keys: 'H', hint: 'Drag the photo. With any tool: hold Space and drag, scroll to zoom'},
];

export function Rail() {
  return html`
    <nav class="rail" aria-label="Tools">
      ${TOOLS.map(({tool, label, keys}) => html`
        <${IconButton} icon=${tool} label=${label} keys=${keys} isOn=${store.tool.value === tool}
                       onClick=${() => (store.tool.value = tool)} />`)}
    </nav>`;
}

export function ToolOptions() {
  const tool = store.tool.value;
  const hint = TOOLS.find((one) => one.tool === tool)?.hint;
  if (!store.photo.value) return null;
  return html`
    <div class="options" role="group" aria-label="Options of the tool">
      ${(tool === 'brush' || tool === 'eraser') && html`<${Brush} />`}
      ${tool === 'colour' && html`
        <${Small} label="Tolerance" value=${store.tolerance.value} least=${1} most=${60} step=${1}
                  onChange=${(/** @type {number} */ value) => (store.tolerance.value = value)} />`}
      ${tool === 'object' && html`<${Segmenter} />`}
      <span class="hint" id="hint">${store.isHeld.value ? 'The photo' : hint}</span>
      <span class="unseen" role="status">${underWords()}</span>
    </div>`;
}

function Brush() {
  const {radius, softness} = store.brush.value;
  const put = (/** @type {object} */ what) => (store.brush.value = {...store.brush.value, ...what});
  return html`
    <${Small} label="Size" value=${Math.round(Math.sqrt(radius) * 10) / 10} shown=${`${Math.round(2 * radius)} px`}
              least=${1} most=${30} step=${0.1} onChange=${(/** @type {number} */ root) => put({radius: Math.round(root * root * 2) / 2})} />
    <${Small} label="Soft" value=${softness} shown=${`${Math.round(softness * 100)} %`} least=${0} most=${1} step=${0.05}
              onChange=${(/** @type {number} */ value) => put({softness: value})} />`;
}

/** @param {{label: string, value: number, shown?: string, least: number, most: number, step: number,
 *   onChange: (value: number) => void}} props */
function Small({label, value, shown = String(value), least, most, step, onChange}) {
  return html`
    <label class="small">
      <span>${label}</span>
      <input type="range" min=${least} max=${most} step=${step} value=${value} aria-label=${label} aria-valuetext=${shown}
             style=${{'--at': `${((value - least) / (most - least)) * 100}%`}}
             onInput=${(/** @type {any} */ event) => onChange(Number(event.target.value))} />
      <output>${shown}</output>
    </label>`;
}

function Segmenter() {
  const state = store.segmenting.value;
  const choose = (/** @type {any} */ event) => {
    const name = event.target.value;
    store.edit((doc) => withRest(doc, {segmenter: name === 'classic' ? undefined : name}));
  };
  return html`
    <label class="small">
      <span>Found by</span>
      <select value=${segmenterName()} onChange=${choose}>
        ${store.segmenters.value.map(({name, usable, why}) => html`
          <option value=${name} disabled=${!usable} title=${why ?? ''}>${name}</option>`)}
      </select>
    </label>
    ${state === 'busy' && html`<span class="busy" role="status"><span class="spinner" aria-hidden="true"></span>Finding objects…</span>`}
    ${state === 'failed' && html`<span class="bad">No objects found; box, lasso and brush work</span>`}`;
}

/** @param {number} factor */
export function resizeBrush(factor) {
  const {radius, softness} = store.brush.peek();
  const next = Math.min(Math.max(radius * factor, 0.5), 900);
  store.brush.value = {radius: Math.round(next * 2) / 2, softness};
}
