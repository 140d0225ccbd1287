"""What other sites in the same browser try, and what becomes of it; they know the server's port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from chrome import ELSEWHERE, Tab
from scenes import write_scene
from serving import Served, serving

Open = Callable[..., Tab]

ATTACK = """
async function attack(server, token, recipe) {
  const said = [];
  const tried = async (name, ask) => said.push([name, await ask().catch(() => 'blocked')]);
  const body = JSON.stringify({recipe, client: 'them'});
  const seen = async (answer) => `${answer.type} ${answer.status} ${await answer.text()}`;
  const post = (how) => fetch(`${server}/api/preview`, {method: 'POST', body, ...how}).then(seen);
  const json = {'Content-Type': 'application/json', 'Locstyle-Token': token};
  await tried('text', () => post({mode: 'no-cors', headers: {'Content-Type': 'text/plain'}}));
  await tried('cors', () => post({}));
  await tried('with a token', () => post({headers: json}));
  await tried('read', () => fetch(`${server}/api/hello`).then(seen));
  await tried('read, with a token', () => fetch(`${server}/api/hello`, {headers: json}).then(seen));
  await tried('upload', () => fetch(`${server}/api/upload?name=a.png`,
    {method: 'POST', mode: 'no-cors', body: new Blob(['x'])}).then(seen));
  const loaded = (tag, more) => new Promise((done, fail) => {
    const one = Object.assign(document.createElement(tag), more, {onload: done, onerror: fail});
    document.body.append(one);
  }).then(() => 'loaded');
  await tried('picture', () => loaded('img', {src: `${server}/api/hello`}));
  await tried('script', () => loaded('script', {src: `${server}/static/first.js`, type: 'module'}));
  const form = Object.assign(document.createElement('form'), {method: 'post', target: 'hole',
    action: `${server}/api/preview`, enctype: 'text/plain'});
  const field = Object.assign(document.createElement('input'), {name: body, value: ''});
  form.append(field);
  document.body.append(Object.assign(document.createElement('iframe'), {name: 'hole'}), form);
  form.submit();
  document.body.append(Object.assign(document.createElement('iframe'), {src: `${server}/`}));
  await new Promise((done) => setTimeout(done, 300));
  return said;
}
"""
FRAMED = """<!doctype html><body><iframe sandbox="allow-scripts allow-forms" src="/"></iframe>"""
PLAIN = """<!doctype html><body><script src="/attack.js"></script>"""


class Site(BaseHTTPRequestHandler):
    """Another site, by whatever name one comes."""

    def do_GET(self) -> None:
        found = {"/attack.js": ATTACK, "/framed": FRAMED}.get(self.path, PLAIN)
        kind = "text/javascript" if self.path == "/attack.js" else "text/html"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(found.encode())

    def log_message(self, *said: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of another site on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_port
        site.shutdown()


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which calls came to the server, and whether they were let in (200)."""
    from locstyle_plugins.page.guard import Guard
    from locstyle_plugins.page.refusals import Refusal

    found: list[tuple[str, int]] = []
    check = Guard._check

    def noted(self: Guard, scope: Any) -> None:
        try:
            check(self, scope)
        except Refusal as refusal:
            found.append((scope["path"], refusal.status))
            raise
        found.append((scope["path"], 200))

    monkeypatch.setattr(Guard, "_check", noted)
    return found


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("victim")
    write_scene(folder)
    with serving(folder, photo="photo.png", kept=folder / "kept") as served:
        yield served


RECIPE = {
    "locstyle": 2, "image": "photo.png", "backbone": "tiny",
    "regions": [{"mask": "all", "style": "painting.png"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:{}/", "http://localhost:{}/", f"http://{ELSEWHERE}:{{}}/", "framed"],
    ids=["another port", "our other name", "another name", "a sandboxed frame"],
)
def test_other_sites_are_refused_and_nothing_is_run(
    opened: Open, victim: Served, elsewhere: int, answered: list[tuple[str, int]], address: str
) -> None:
    framed = "http://127.0.0.1:{}/framed"
    tab = opened((framed if address == "framed" else address).format(elsewhere))
    said = tab.page.frames[-1].evaluate(
        "([server, token, recipe]) => attack(server, token, recipe)",
        [victim.origin, victim.token, RECIPE],
    )
    assert len(said) == 8
    # What it could send without asking first was answered, and it cannot read the answer.
    assert {what for _, what in said} <= {"blocked", "opaque 0 "}, said
    calls = [status for path, status in answered if path.startswith("/api")]
    assert len(calls) >= 5 and set(calls) <= {401, 403}, answered
    shown = [one for one in tab.page.frames if one.url.startswith(victim.origin)]
    assert not any(one.query_selector("#app") for one in shown)
    assert nothing_was_run(victim)


def test_a_name_that_leads_here_after_all_is_refused(opened: Open, victim: Served) -> None:
    """DNS rebinding: the browser takes our server for that site, so all it asks is of its own."""
    port = victim.origin.rpartition(":")[2]
    tab = opened(f"http://{ELSEWHERE}:{port}/")
    assert "own names" in tab.page.content()
    code = """async ([token, recipe]) => {
        const headers = {'Locstyle-Token': token, 'Content-Type': 'application/json'};
        const body = JSON.stringify({recipe});
        const asked = [['hello', {headers}], ['preview', {headers, body, method: 'POST'}]];
        return Promise.all(asked.map(async ([path, how]) =>
            (await fetch(`/api/${path}`, how)).status));
    }"""
    assert tab.page.evaluate(code, [victim.token, RECIPE]) == [403, 403]
    assert nothing_was_run(victim)


def test_our_own_page_is_answered_beside_them(opened: Open, victim: Served) -> None:
    tab = opened(victim.url).ready()
    assert tab.js("store.photo.value.name") == "photo.png"
    ours = partial(tab.page.evaluate, "(body) => fetch('/api/preview', {method: 'POST', body})"
                   ".then((answer) => answer.status)")  # fmt: skip
    assert ours(json.dumps({"recipe": RECIPE})) == 401  # without its token, not even from there


def nothing_was_run(served: Served) -> bool:
    kinds = {errand.kind for errand in (*served.desk.line.all(), *served.desk.side_line.all())}
    return kinds <= {"load"} and not any(served.desk.uploads.iterdir())
