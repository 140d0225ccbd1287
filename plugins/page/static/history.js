// Undo and redo over whole documents. Documents are frozen values that share what did not change,
// so a step costs what it changed. Moves of one slider make one step; strokes never join.

export const STEPS = 200;
const PAUSE = 1000; // ms after which the same slider starts a new step

/**
 * @template T
 * @typedef {{past: readonly T[], now: T, next: readonly T[], group: string, at: number}} History
 */

/** @template T @param {T} now @returns {History<T>} */
export function begun(now) {
  return {past: [], now, next: [], group: '', at: 0};
}

/**
 * The history with `now` as its present; a step of the same non-empty `group` shortly before is
 * replaced.
 * @template T @param {History<T>} history @param {T} now @param {string} group @param {number} at
 * @returns {History<T>}
 */
export function changed(history, now, group, at) {
  if (now === history.now) return history;
  const joins = group !== '' && group === history.group && at - history.at < PAUSE;
  const past = joins ? history.past : [...history.past, history.now].slice(-STEPS);
  return {past, now, next: [], group, at};
}

/** @template T @param {History<T>} history @returns {History<T>} */
export function undone(history) {
  const {past, now, next} = history;
  if (!past.length) return history;
  return {past: past.slice(0, -1), now: past[past.length - 1], next: [now, ...next], group: '', at: 0};
}

/** @template T @param {History<T>} history @returns {History<T>} */
export function redone(history) {
  const {past, now, next} = history;
  if (!next.length) return history;
  return {past: [...past, now], now: next[0], next: next.slice(1), group: '', at: 0};
}
