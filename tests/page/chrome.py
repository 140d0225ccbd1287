"""The page in a real Chromium: starting it, using it as a hand would, and reading what it shows."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scenes import STYLES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "BROWSER TESTS SKIPPED: no chromium; `apt-get install chromium` brings it"
SECONDS = 60.0  # a busy machine loads torch for as long as half of that
VIEW = {"width": 1280, "height": 820}
ELSEWHERE = "elsewhere.test"
"""A name that leads to this machine, for this browser alone."""
ARGUMENTS = ["--no-sandbox", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for the whole session."""
    if CHROMIUM is None:
        pytest.skip(MISSING)
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="BROWSER TESTS SKIPPED: no playwright"
    )
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Tab:
    """A tab with the page in it; `errors` are what its console complained of."""

    page: Any
    errors: list[str]

    def js(self, code: str, given: object = None) -> Any:
        """A value from inside, with `store`, `pictures` and `segments` as the page's own."""
        names = "const {store, pictures, segments} = window.locstyle;"
        return self.page.evaluate(f"(given) => {{ {names} return {code}; }}", given)

    def until(self, code: str, given: object = None, seconds: float = SECONDS) -> Any:
        """Waits for something, or what it promises, to become true; no `wait_for_function`, which
        the page's policy forbids."""
        # Objects are true and stay there: a bitmap cannot be sent, a map of labels is large.
        small = "((it) => it instanceof Object ? true : it)"
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := self.js(f"Promise.resolve({code}).then{small}", given):
                return found
            self.page.wait_for_timeout(20)
        now = self.js("[store.run.value, store.notes.value, [...store.problems.value]]")
        raise AssertionError(f"never became true: {code}; {now}")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the photo, as shares of its sides, lies in the window."""
        box = self.page.locator("#stage").bounding_box()
        view = self.page.evaluate("locstyle.camera.view.value")
        photo = self.js("store.photo.value")
        return (
            box["x"] + view["x"] + x * photo["width"] * view["scale"],
            box["y"] + view["y"] + y * photo["height"] * view["scale"],
        )

    def drag(
        self, *points: tuple[float, float], before_up: Callable[[], None] | None = None
    ) -> None:
        """Presses at the first point of the photo, moves through the others, and lets go."""
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        if before_up:
            before_up()
        mouse.up()

    def masks(self) -> list[str]:
        return self.js("store.doc.value.parts.map((one) => one.region.mask)")

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def paint(self) -> None:
        """Waits for what is due to be painted, which is with the next frame: on a busy machine
        that comes late."""
        frame = "new Promise((done) => requestAnimationFrame(done))"
        self.page.evaluate(f"async () => {{ await {frame}; await {frame}; }}")

    def saved(self) -> None:
        """Waits until the server has the edit as it is."""
        self.until(
            """import('/static/api.js').then(({get}) => get('state')).then(({state}) =>
            JSON.stringify([state?.doc, state?.selected, state?.shown])
            === JSON.stringify([store.doc.value, store.selected.value, store.shown.value]))"""
        )

    def count_previews(self) -> None:
        """From now on `previews` says what was asked for, and `rest` is at once."""
        self.page.clock.install()
        self.page.evaluate(
            """() => { const real = window.fetch; window.previews = 0;
            window.fetch = (path, how) => {
                window.previews += path === '/api/preview';
                return real(path, how);
            }; }"""
        )

    def previews(self) -> int:
        """How many previews were asked for since `count_previews`."""
        return self.page.evaluate("window.previews")

    def rest(self) -> None:
        """Nothing is done for a while, by the page's clock: whatever waits for quiet begins."""
        self.page.clock.fast_forward(5000)

    def pixel(self, canvas: str, x: float, y: float) -> list[int]:
        """Red, green, blue and alpha of a canvas of the stage at a point of the photo.

        What is due is painted before it is read."""
        self.paint()
        code = """([name, x, y]) => {
            const canvas = document.querySelector(`.stage .${name}`);
            const {camera, store} = window.locstyle;
            const {view, room} = camera;
            const at = (share, side, start) =>
                Math.round((share * side * view.value.scale + start) * room.value.ratio);
            const {width, height} = store.photo.value;
            const place = [at(x, width, view.value.x), at(y, height, view.value.y)];
            return [...canvas.getContext('2d').getImageData(...place, 1, 1).data];
        }"""
        return self.page.evaluate(code, [canvas, x, y])

    def ready(self) -> Tab:
        """Waits for the photo's picture and for its objects."""
        self.until("pictures.bitmaps.photo && segments.labels.value")
        return self


def tile(tab: Tab, number: int = 0) -> Any:
    """One of the styles of the scene's folder, on the shelf."""
    return tab.page.get_by_role("button", name=f"{STYLES[number]} picture")


def give(tab: Tab, number: int = 0) -> None:
    tile(tab, number).click()


def drop_file(tab: Tab, target: str, path: Path, kind: str) -> None:
    """Lets a file go over an element, as from the desktop."""
    data = base64.b64encode(path.read_bytes()).decode()
    tab.page.evaluate(
        """([target, data, name, type]) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name, {type}));
            const place = document.querySelector(target);
            for (const what of ['dragenter', 'dragover', 'drop'])
                place.dispatchEvent(new DragEvent(what,
                    {dataTransfer: carried, bubbles: true, cancelable: true}));
        }""",
        [target, data, path.name, kind],
    )


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Opens an address in a tab of its own, which ends with the test."""
    contexts = []

    def open_tab(address: str, **how: Any) -> Tab:
        context = browser.new_context(**({"viewport": VIEW} | how))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        tab = Tab(page, [])
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.goto(address)
        return tab

    yield open_tab
    for context in contexts:
        context.close()
