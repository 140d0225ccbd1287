// Talking to the server (docs/server.md): every call carries the token, and every refusal comes back
// as a `Refusal` in the library's own words.

const KEPT = 'locstyle-token';
let token = '';

/** Takes the token out of the address, or what an earlier load of this tab kept. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  token = given || sessionStorage.getItem(KEPT) || '';
  return token !== '';
}

/** What the server said no to; `kind`, `message` and `place` are its own. */
export class Refusal extends Error {
  /** @param {number} status @param {{kind: string, message: string, place?: string | null, current?: number}} said */
  constructor(status, said) {
    super(said.message);
    this.status = status;
    this.kind = said.kind;
    this.place = said.place ?? null;
    this.current = said.current;
  }
}

/** Nobody answered. */
export class Gone extends Error {}

/** @param {string} path @param {RequestInit} [how] @returns {Promise<Response>} */
export async function call(path, how = {}) {
  const headers = {...how.headers, 'Locstyle-Token': token};
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {...how, headers});
  } catch (error) {
    if (how.signal?.aborted) throw error;
    throw new Gone('the server does not answer');
  }
  if (answer.ok) return answer;
  let said = {kind: 'Bug', message: `the server answered ${answer.status}`};
  try {
    said = (await answer.json()).error ?? said;
  } catch { /* not JSON: what we say is all there is */ }
  throw new Refusal(answer.status, said);
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function get(path, signal) {
  return (await call(path, {signal})).json();
}

/** @param {string} path @param {unknown} [body] @param {AbortSignal} [signal] @param {string} [method] @returns {Promise<any>} */
export async function send(path, body = {}, signal = undefined, method = 'POST') {
  const headers = {'Content-Type': 'application/json'};
  return (await call(path, {method, headers, body: JSON.stringify(body), signal})).json();
}

/** @param {string} path @param {Blob} file @returns {Promise<any>} */
export async function upload(path, file) {
  const headers = {'Content-Type': 'application/octet-stream'};
  return (await call(path, {method: 'POST', headers, body: file})).json();
}

/** @param {string} path @param {AbortSignal} [signal] @param {ImageBitmapOptions} [how] */
export async function picture(path, signal, how) {
  return createImageBitmap(await (await call(path, {signal})).blob(), how);
}

/**
 * Reads an event stream until it ends or `signal` aborts; resolves with the number of the last event.
 * @param {string} path @param {(name: string, data: any) => void} heard
 * @param {AbortSignal} signal @param {number} [after]
 */
export async function listen(path, heard, signal, after = 0) {
  const joint = path.includes('?') ? '&' : '?';
  const answer = await call(after ? `${path}${joint}after=${after}` : path, {signal});
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let [text, last] = ['', after];
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return last;
      text += decoder.decode(value, {stream: true}).replaceAll('\r\n', '\n');
      const blocks = text.split('\n\n');
      text = /** @type {string} */ (blocks.pop());
      for (const block of blocks) last = told(block, heard) ?? last;
    }
  } catch (error) {
    if (signal.aborted) return last;
    throw new Gone('the server does not answer');
  }
}

/** @param {string} block @param {(name: string, data: any) => void} heard */
function told(block, heard) {
  let [name, data, id] = ['message', '', /** @type {number | null} */ (null)];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data += line.slice(5).trim();
    else if (line.startsWith('id:')) id = Number(line.slice(3));
  }
  if (data) heard(name, JSON.parse(data));
  return id;
}
