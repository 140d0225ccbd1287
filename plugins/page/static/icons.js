// Icons as strokes on a 20 x 20 grid, drawn for this page.
import {html} from './ui.js';

/** @type {Record<string, string>} */
const PATHS = {
  object: 'M4 3l5.2 13 1.9-5.2L16.2 9z M13 13l4 4',
  box: 'M3.5 4.5h13v11h-13z',
  lasso: 'M6.5 14.5C4 13.6 2.8 11.7 2.8 9.6 2.8 6 6 3.5 10 3.5s7.2 2.4 7.2 5.8-3.2 5.6-7.2 5.6c-1.2 0-2.3-.1-3.3-.5 M6.6 14.5a1.6 1.6 0 1 0 .1-.1c.8 1.1.6 2.2-.9 3',
  colour: 'M11.5 5.5l3 3 M13.2 3.8a2.1 2.1 0 0 1 3 3L14 9 11 6z M11.8 6.8L5 13.6 3.8 16.2 6.4 15l6.8-6.8',
  brush: 'M16.5 3.5c-3 .8-7 4.2-8.6 7.2l1.6 1.6c3-1.6 6.3-5.7 7-8.8z M7.4 11.2c-1.8 0-2.6 1.2-2.8 2.6-.1.9-.6 1.6-1.6 2 2.6 1 5.7.3 5.9-2.5',
  eraser: 'M8 16.500L3.6 12.100a1 1 0 0 1 0-1.400l6.8-6.800a1 1 0 0 1 1.4 0l4.3 4.300a1 1 0 0 1 0 1.400L9.2 16.500z M6.9 7.400l5.7 5.7 M8 16.500h8.5',
  hand: 'M6 10.500V5.700a1.2 1.2 0 0 1 2.4 0V9 4a1.2 1.2 0 0 1 2.4 0v5-4.300a1.2 1.2 0 0 1 2.4 0V10 6.700a1.2 1.2 0 0 1 2.4 0v5.100c0 3.2-2 5.2-4.9 5.2-2.6 0-3.7-1.2-5-3.400L3.6 11.400c-.6-1.2.9-2.2 1.8-1.200z',
  undo: 'M7.5 4L4 7.5 7.5 11 M4 7.500h7.500a4.5 4.5 0 0 1 0 9H8',
  redo: 'M12.5 4L16 7.5 12.5 11 M16 7.500H8.500a4.5 4.5 0 0 0 0 9H12',
  eye: 'M2.5 10S5.3 5 10 5s7.5 5 7.5 5-2.8 5-7.5 5-7.5-5-7.5-5z M10 12.300a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.600z',
  shut: 'M3 8s2.5 3.7 7 3.700S17 8 17 8 M5.2 10.400L3.8 12.4 M10 11.800v2.4 M14.8 10.400l1.4 2',
  locked: 'M5 9h10v7.500H5z M7 9V6.500a3 3 0 0 1 6 0V9',
  open: 'M5 9h10v7.500H5z M7 9V6a3 3 0 0 1 5.8-1',
  remove: 'M4.5 6h11 M8 6V4h4v2 M6 6l.7 10.500h6.600L14 6',
  plus: 'M10 4v12 M4 10h12',
  close: 'M5 5l10 10 M15 5L5 15',
  grip: 'M7.5 5v.01 M12.5 5v.01 M7.5 10v.01 M12.5 10v.01 M7.5 15v.01 M12.5 15v.01',
  dice: 'M4 4h12v12H4z M7.3 7.300v.01 M12.7 12.700v.01 M12.7 7.300v.01 M7.3 12.700v.01 M10 10v.01',
  help: 'M7.3 7.600A2.7 2.7 0 0 1 10 5.200c1.6 0 2.7 1 2.7 2.3 0 1.8-2.7 2-2.7 4 M10 14.600v.01',
  save: 'M10 3v9 M6.5 8.800L10 12.300l3.5-3.5 M4 14v2.500h12V14',
  copy: 'M7 7h9.500v9.500H7z M13 7V3.500H3.500V13H7',
  tint: 'M10 3.200s5 5 5 8.300a5 5 0 0 1-10 0c0-3.3 5-8.3 5-8.300z M10 16.400V3.6',
  search: 'M9 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10z M12.6 12.600L16.5 16.5',
  folder: 'M3 5.500h5l1.5 2H17v8.500H3z',
  spark: 'M10 3l1.7 5.300L17 10l-5.3 1.700L10 17l-1.7-5.300L3 10l5.3-1.700z',
  warn: 'M10 3.500L17.5 16.500h-15z M10 8.500v3.5 M10 14.300v.01',
  reset: 'M4.5 10a5.5 5.5 0 1 0 1.8-4 M6.5 3v3.200h3.2',
};

/** @param {{name: string}} props */
export function Icon({name}) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

/** A button that is an icon; `label` says what it does, `keys` how without a mouse.
 * @param {{icon: string, label: string, keys?: string, onClick: (event: MouseEvent) => void,
 *   isOn?: boolean, isOff?: boolean, class?: string}} props */
export function IconButton({icon, label, keys, onClick, isOn, isOff, class: kind = ''}) {
  const title = keys ? `${label} (${keys})` : label;
  return html`
    <button type="button" class=${`icon-button ${kind}`} aria-label=${label} title=${title} onClick=${onClick}
            aria-pressed=${isOn === undefined ? undefined : String(isOn)} disabled=${isOff}>
      <${Icon} name=${icon} />
    </button>`;
}
