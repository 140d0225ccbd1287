// A style as a small picture; a sign where it has none, dashes where there is no style.
import {html, useEffect, useState} from './ui.js';
import {thumbnail} from './pictures.js';

/** @param {{style: import('./types').Style | null}} props */
export function Thumbnail({style}) {
  const url = usePicture(style?.thumbnail ? `styles/${style.id}/thumbnail` : '');
  if (!style) return html`<span class="thumb none" aria-hidden="true"></span>`;
  if (url) return html`<img class="thumb" src=${url} alt="" draggable=${false} />`;
  return html`<span class="thumb sign" aria-hidden="true">${style.name.slice(0, 2)}</span>`;
}

/** The address of a small picture once it is there, else ''. @param {string} path */
export function usePicture(path) {
  const [found, put] = useState({path: '', url: ''});
  useEffect(() => {
    let isOver = false;
    if (path) thumbnail(path).then((url) => isOver || put({path, url}), () => null);
    return () => {
      isOver = true;
    };
  }, [path]);
  return found.path === path ? found.url : '';
}
