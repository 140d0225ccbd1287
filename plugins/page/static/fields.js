// Fields of a region: sliders that know when they say nothing, texts, and a window of the schedule.
import {html, useEffect, useRef} from './ui.js';
import {IconButton} from './icons.js';

/**
 * `value` undefined: the recipe says nothing, and `usual` is what then holds (null: the fusion's own).
 * @param {{label: string, value: number | undefined, usual: number | null, least: number, most: number,
 *   step: number, unit?: string, onChange: (value: number | undefined) => void}} props
 */
export function Slider({label, value, usual, least, most, step, unit = '', onChange}) {
  const isSaid = value !== undefined;
  const at = value ?? usual ?? (least + most) / 2;
  const words = isSaid || usual !== null ? `${Math.round(at * 100) / 100}${unit}` : 'auto';
  return html`
    <label class=${`field slider ${isSaid ? 'said' : ''}`}>
      <span class="label">${label}</span>
      <input type="range" min=${least} max=${most} step=${step} value=${at} aria-label=${label} aria-valuetext=${words}
             style=${{'--at': `${((at - least) / (most - least)) * 100}%`}}
             onInput=${(/** @type {any} */ event) => onChange(Number(event.target.value))} />
      <output>${words}</output>
      <span class="reset">${isSaid && html`
        <${IconButton} icon="reset" label=${`${label}: back to the usual`}
                       onClick=${(/** @type {Event} */ event) => (event.preventDefault(), onChange(undefined))} />`}
      </span>
    </label>`;
}

/** `isWhole`: half of it means nothing, such as of a file's name, so it counts when it was left or entered.
 * @param {{label: string, value: string | undefined, hint: string, isWhole?: boolean,
 *   onChange: (value: string | undefined) => void}} props */
export function Text({label, value, hint, isWhole = false, onChange}) {
  const put = (/** @type {any} */ event) => onChange(event.target.value || undefined);
  return html`
    <label class="field text">
      <span class="label">${label}</span>
      <input type="text" value=${value ?? ''} placeholder=${hint} spellcheck=${false}
             ...${isWhole ? {onChange: put} : {onInput: put}} />
    </label>`;
}

const PALETTES = [['', 'auto'], ['drawn', 'as drawn'], ['0', 'the photo’s'], ['0.5', 'half and half'], ['1', 'the style’s']];

/** Whose colours are drawn. @param {{value: number | string | undefined, usual: string,
 *   onChange: (value: number | string | undefined) => void}} props */
export function Palette({value, usual, onChange}) {
  const said = value === undefined ? '' : String(value);
  const known = PALETTES.some(([one]) => one === said);
  const choose = (/** @type {any} */ event) => {
    const to = event.target.value;
    onChange(to === '' ? undefined : to === 'drawn' ? to : Number(to));
  };
  return html`
    <label class=${`field text ${said && 'said'}`}>
      <span class="label">Colours</span>
      <select value=${said} onChange=${choose}>
        ${PALETTES.map(([one, words]) => html`<option value=${one} selected=${one === said}>${one ? words : usual}</option>`)}
        ${!known && html`<option value=${said} selected>${said}</option>`}
      </select>
    </label>`;
}

/** When a style acts, as shares of the schedule: 0 is the noisy start.
 * @param {{value: [number, number] | undefined, onChange: (value: [number, number] | undefined) => void}} props */
export function Window({value, onChange}) {
  const [from, to] = value ?? [0, 1];
  const put = (/** @type {number} */ a, /** @type {number} */ b) => onChange(a <= 0 && b >= 1 ? undefined : [a, b]);
  const percent = (/** @type {number} */ share) => `${Math.round(share * 100)} %`;
  const style = {'--from': `${from * 100}%`, '--to': `${to * 100}%`};
  return html`
    <div class=${`field window ${value ? 'said' : ''}`} role="group" aria-label="When the style acts">
      <span class="label">Acts</span>
      <span class="two" style=${style}>
        <input type="range" min="0" max="1" step="0.05" value=${from} aria-label="from" aria-valuetext=${percent(from)}
               onInput=${(/** @type {any} */ event) => put(Math.min(Number(event.target.value), to - 0.05), to)} />
        <input type="range" min="0" max="1" step="0.05" value=${to} aria-label="until" aria-valuetext=${percent(to)}
               onInput=${(/** @type {any} */ event) => put(from, Math.max(Number(event.target.value), from + 0.05))} />
      </span>
      <output>${value ? `${percent(from)}–${percent(to)}` : 'always'}</output>
      <span class="reset"></span>
    </div>`;
}

/** A modal dialog that closes by Escape, its cross, or a click beside it.
 * @param {{title: string, onClose: () => void, children?: unknown, class?: string}} props */
export function Dialog({title, onClose, children, class: kind = ''}) {
  const place = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const dialog = /** @type {HTMLDialogElement} */ (place.current);
    if (!dialog.open) dialog.showModal();
    /** @type {HTMLElement | null} */ (dialog.querySelector('[data-first]'))?.focus();
  }, []);
  return html`
    <dialog ref=${place} class=${kind} aria-labelledby="dialog-title" onClose=${onClose}
            onPointerDown=${(/** @type {any} */ event) => event.target === place.current && onClose()}>
      <header>
        <h2 id="dialog-title">${title}</h2>
        <${IconButton} icon="close" label="Close" onClick=${onClose} />
      </header>
      ${children}
    </dialog>`;
}

/** A file chooser behind a button. @param {string} accept @param {(file: File) => void} chosen */
export function chooseFile(accept, chosen) {
  const input = document.createElement('input');
  Object.assign(input, {type: 'file', accept});
  input.addEventListener('change', () => input.files?.[0] && chosen(input.files[0]));
  input.click();
}
