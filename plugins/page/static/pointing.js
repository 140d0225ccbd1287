// Pointer and wheel over the stage: which gesture goes to the tool and which moves the view.
import {effect} from './ui.js';
import {toPhoto} from './view.js';
import {closeKeys, onStageKey} from './crosshair.js';
import * as camera from './camera.js';
import * as store from './store.js';
import * as tools from './tools.js';

/** Whether the space bar is down: dragging moves the photo. */
let isSpaced = false;

/** @param {HTMLElement} place @returns {() => void} */
export function watchPointer(place) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let [isPanning, isPinching] = [false, false];

  const at = (/** @type {PointerEvent | WheelEvent} */ event) => {
    const box = place.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  };
  const touch = (/** @type {PointerEvent} */ event) => {
    const point = toPhoto(camera.view.peek(), at(event));
    return event.pointerType === 'pen' && event.pressure > 0 ? {...point, pressure: event.pressure} : point;
  };

  /** @type {Record<string, (event: any) => void>} */
  const heard = {
    pointerdown(event) {
      if (event.target.closest?.('.split')) return;
      place.focus({preventScroll: true});
      down.set(event.pointerId, at(event));
      place.setPointerCapture(event.pointerId);
      closeKeys();
      if (event.pointerType === 'touch' && down.size === 2) {
        tools.drop();
        [isPinching, isPanning] = [true, false];
      } else if (event.button === 1 || isSpaced || store.tool.peek() === 'hand') isPanning = true;
      else if (event.button === 0 && !isPinching && store.photo.peek()) tools.begin(touch(event), event.altKey);
      event.preventDefault();
    },
    pointermove(event) {
      const before = down.get(event.pointerId);
      if (before) down.set(event.pointerId, at(event));
      if (isPinching && before) return pinched(down, event.pointerId, before);
      if (isPanning && before) return camera.pan(at(event).x - before.x, at(event).y - before.y);
      if (!before || !tools.isBusy()) return tools.hover(touch(event), event.altKey);
      const events = event.getCoalescedEvents?.() ?? [];
      tools.move((events.length ? events : [event]).map(touch));
    },
    pointerup(event) {
      down.delete(event.pointerId);
      if (tools.isBusy() && !isPanning) tools.end();
      isPanning = false;
      isPinching &&= down.size > 0;
    },
    pointercancel(event) {
      down.delete(event.pointerId);
      tools.drop();
      [isPanning, isPinching] = [false, false];
    },
    pointerleave() {
      if (!tools.isBusy()) tools.hover(null);
    },
    wheel(event) {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey && !event.ctrlKey) return camera.pan(-(event.deltaX || event.deltaY) * lines, 0);
      const speed = event.ctrlKey ? 0.01 : 0.0018; // a pinch on a trackpad comes as small steps with ctrl
      camera.zoom(Math.exp(-event.deltaY * lines * speed), at(event));
    },
    keydown: onStageKey,
    contextmenu: (event) => event.preventDefault(),
  };
  for (const [name, hear] of Object.entries(heard)) place.addEventListener(name, hear, {passive: false});
  const cursor = effect(() => {
    place.dataset.tool = store.tool.value;
  });
  return () => {
    cursor();
    for (const [name, hear] of Object.entries(heard)) place.removeEventListener(name, hear);
  };
}

/** @param {Map<number, {x: number, y: number}>} down @param {number} moved @param {{x: number, y: number}} before */
function pinched(down, moved, before) {
  const other = [...down].find(([id]) => id !== moved)?.[1];
  const now = down.get(moved);
  if (!other || !now) return;
  const apart = (/** @type {{x: number, y: number}} */ one) => Math.hypot(one.x - other.x, one.y - other.y);
  const middle = {x: (before.x + other.x) / 2, y: (before.y + other.y) / 2};
  camera.zoom(Math.max(apart(now), 1) / Math.max(apart(before), 1), middle);
  camera.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
}

/** @param {boolean} isDown */
export function space(isDown) {
  isSpaced = isDown;
  document.getElementById('stage')?.classList.toggle('grabbing', isDown);
}
