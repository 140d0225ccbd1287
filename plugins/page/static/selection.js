// Writing selections: what a tool marked becomes text of the recipe's grammar (docs/selections.md).

/** @typedef {'+' | '-'} Sign */

/**
 * A mask with one part more or less. Numbers of segments are gathered: `auto:1` and 4 are `auto:1,4`;
 * and so are strokes one after another.
 * @param {string} mask @param {Sign} sign @param {string} part @returns {string}
 */
export function combined(mask, sign, part) {
  if (!mask) return sign === '+' ? part : '';
  const gathered = part.startsWith('auto:') ? gather(mask, sign, part.slice(5))
    : part.startsWith('brush:') ? follow(mask, sign, part.slice(6)) : null;
  if (gathered !== null) return gathered;
  return `${isPiped(mask) ? `(${mask})` : mask} ${sign} ${part}`;
}

/** @param {string} mask @param {Sign} sign @param {string} number @returns {string | null} */
function gather(mask, sign, number) {
  const found = /^(.*?)(^|(?:^|\s)([+-])\s)auto:([\d,]+)$/s.exec(mask);
  if (!found) return null;
  const [, before, joint, given] = found;
  const numbers = found[4].split(',');
  const same = (given ?? '+') === sign;
  if (same) return numbers.includes(number) ? mask : `${before}${joint}auto:${[...numbers, number]}`;
  if (!numbers.includes(number)) return null;
  const left = numbers.filter((one) => one !== number);
  return left.length ? `${before}${joint}auto:${left}` : before.trim();
}

/** @param {string} mask @param {Sign} sign @param {string} strokes @returns {string | null} */
function follow(mask, sign, strokes) {
  const found = /(^|\s[+-]\s)brush:[\d.,;:~/!-]+$/.exec(mask);
  if (!found || (found[1].trim() || '+') !== sign) return null;
  return `${mask}/${strokes}`;
}

/** Whether a pipe stands outside of quotes and parentheses, so that what follows would join it.
 * @param {string} mask */
export function isPiped(mask) {
  let depth = 0;
  for (const [sign] of mask.matchAll(/"[^"]*"|[()|]/g)) {
    if (sign === '(') depth += 1;
    else if (sign === ')') depth -= 1;
    else if (sign === '|' && depth === 0) return true;
  }
  return false;
}

/** A number as the grammar reads it: at most one digit after the point. @param {number} value */
export function spelt(value) {
  return String(Math.round(value * 10) / 10);
}
