"""How long does the page of `locstyle edit` let one wait, and what does it hold in memory?

    python benchmarks/page.py [--only first,hand,preview,large,hammer] [--rounds 5] [--json FILE]

In a real Chromium (`--chromium PATH`), driven by playwright, the server in a process of its own
with a cache of its own. Medians of the rounds, or of all events. Seconds of the CPU, of the server
and of the browser, stand beside those of the wall: on a busy machine they are the ones to compare.

first    from the command to the painted picture of a photo of 12 megapixels
hand     from a pointer's event to the painted frame that answers it: hovering, a stroke
preview  a region of a photo of 600 x 400 in another strength, by `mini`, to the shown result
large    100 megapixels: opened, its objects found, a region drawn; what page and server hold
hammer   ten clients for `--seconds` (60), and what the server holds before and after
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # playwright's, JSON

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

MB = 1e6
ANSWERS = """() => { const stage = document.querySelector('#stage');
    stage.addEventListener('pointermove', (event) => requestAnimationFrame(() => {
        const late = performance.now() - event.timeStamp;
        if (!window.isInk) return window.seen.push(late);
        const canvas = document.querySelector('.stage .ink');
        const box = canvas.getBoundingClientRect();
        const at = [event.clientX - box.left, event.clientY - box.top].map(Math.round);
        if (canvas.getContext('2d').getImageData(...at, 1, 1).data[3]) window.seen.push(late);
    })); }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="some of them, by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="of hammering")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    found: dict[str, str] = {}
    table = Table("what", "median", title=f"load of the machine before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOCSTYLE_CACHE"] = str(Path(folder) / "cache")
        for name in wanted.only.split(","):
            new = PARTS[name](Path(folder), wanted)
            found |= new
            print(*(f"{what}: {value}" for what, value in new.items()), sep="\n", flush=True)
    for what, value in found.items():
        table.add_row(what, value)
    Console(width=130).print(table)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1))


def drawn(path: Path, width: int, height: int) -> Path:
    """A photo with objects to find: blobs of colour on a soft ground, and some grain."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 200, (4, 6, 3), np.uint8)
    pixels = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = int(width * rng.uniform(0.03, 0.12))
        cv2.circle(pixels, centre, size, rng.integers(0, 256, 3).tolist(), -1)
    grain = np.tile(rng.integers(0, 10, (512, 512, 1), np.uint8), (24, 32, 3))
    pixels = cv2.add(pixels, np.ascontiguousarray(grain[:height, :width]))
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path


@dataclass
class Served:
    """A server in a process of its own."""

    address: str
    process: int  # its id
    began: float

    @property
    def held(self) -> float:
        """MB."""
        return held_by(self.process)

    @property
    def cpu(self) -> float:
        return cpu_of([self.process])

    def call(self, path: str, data: Any = None) -> int:
        origin, _, token = self.address.partition("/#token=")
        body = None if data is None else json.dumps(data).encode()
        asked = urllib.request.Request(f"{origin}/api/{path}", body, {"Locstyle-Token": token})
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@contextlib.contextmanager
def serving(photo: Path) -> Iterator[Served]:
    began = time.time()
    command = [sys.executable, "-m", "locstyle", "edit", "--no-browser", photo.name]
    with subprocess.Popen(
        command, cwd=photo.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip(), process.pid, began)
        finally:
            process.terminate()


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1280, "height": 820}).new_page()
    page.goto(address, wait_until="commit")
    return page


def until(page: Any, code: str, seconds: float = 600) -> Any:
    """Waits for a value of the page's own; it may not `eval`, so it is asked again and again."""
    ends = time.monotonic() + seconds
    inside = f"window.locstyle && (({{store, pictures, segments}}) => {code})(window.locstyle)"
    while time.monotonic() < ends:
        if found := page.evaluate(inside):
            return found
        time.sleep(0.04)
    raise TimeoutError(code)


def browsers() -> list[int]:
    """The ids of all processes that this one has begun, and they, that are Chromium's."""
    parents, named = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = path.read_text().rpartition(")")
            number = int(head.split(" ")[0])
            parents[number], named[number] = int(rest.split()[1]), "chrom" in head
    found, new = set(), {os.getpid()}
    while new:
        found |= new
        new = {one for one, parent in parents.items() if parent in new} - found
    return [one for one in found if named.get(one)]


def cpu_of(processes: list[int]) -> float:
    """Seconds of the CPU they have taken; those that ended meanwhile count nothing."""
    ticks = 0
    for one in processes:
        with contextlib.suppress(OSError):
            said = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(said[11]) + int(said[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def held_by(process: int) -> float:
    """MB in memory."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MB
    return 0.0


def threads_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def first(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = drawn(folder / "twelve.jpg", 4000, 3000)
    walls, servers, shown, addresses = [], [], [], []
    with browsing(wanted.chromium) as browser:
        for _ in range(wanted.rounds):
            before = cpu_of(browsers())
            with serving(photo) as served:
                addresses.append(time.time() - served.began)
                page = opened(browser, served.address)
                late = until(page, "pictures.firstPicture.value")
                servers.append(served.cpu)
                shown.append(cpu_of(browsers()) - before)
                walls.append(page.evaluate("performance.timeOrigin") / 1000 + late / 1000)
                walls[-1] -= served.began
                page.context.close()
    middle = statistics.median
    return {
        "from the command to its address": f"{middle(addresses):.2f} s",
        "from the command to the picture, 12 megapixels": f"{middle(walls):.2f} s of the wall",
        "the same, seconds of the CPU": f"{middle(servers):.2f} the server, "
        f"{middle(shown):.2f} the browser",
    }


def hand(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = drawn(folder / "twelve.jpg", 4000, 3000)
    with browsing(wanted.chromium) as browser, serving(photo) as served:
        page = opened(browser, served.address)
        began = time.monotonic()
        until(page, "pictures.bitmaps.photo && 1")
        until(page, "segments.labels.value && 1")
        looked = time.monotonic() - began
        until(page, "store.model.value.state === 'ready'")
        page.evaluate(ANSWERS)
        hovers = moved(page, wanted.rounds)
        page.evaluate("window.isInk = true")
        page.keyboard.press("b")
        page.mouse.down()
        strokes = moved(page, wanted.rounds)
        began = time.monotonic()
        page.mouse.up()
        until(page, "[...store.masks.value.values()][0]?.id")
        mask = time.monotonic() - began
        heap = page.evaluate("performance.memory.usedJSHeapSize") / MB
    return {
        "its objects found, after the page began": f"{looked:.1f} s",
        "hovering, to the painted frame": spread(hovers),
        "a stroke, to its painted pixel": spread(strokes),
        "the true mask of a stroke, from the server": f"{mask:.2f} s",
        "JavaScript's memory with that photo": f"{heap:.0f} MB",
    }


def moved(page: Any, rounds: int) -> list[float]:
    """Milliseconds that each of some movements over the photo took to be answered."""
    box = page.locator("#stage").bounding_box()
    page.evaluate("window.seen = []")
    for turn in range(rounds):
        for step in range(30):
            across = 0.25 + 0.5 * (step / 30 if turn % 2 else 1 - step / 30)
            page.mouse.move(box["x"] + across * box["width"], box["y"] + 0.5 * box["height"])
            page.wait_for_timeout(20)
    page.wait_for_timeout(300)
    return list(page.evaluate("window.seen"))


def spread(values: list[float]) -> str:
    upper = float(np.quantile(values, 0.95))
    return f"{statistics.median(values):.0f} ms, 95 % within {upper:.0f} ms ({len(values)} events)"


def preview(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = drawn(folder / "small.jpg", 600, 400)
    walls, servers = [], []
    with browsing(wanted.chromium) as browser, serving(photo) as served:
        page = opened(browser, served.address)
        edit_a_box(page)
        until(page, "store.results.value.length && !store.run.value")
        for turn in range(wanted.rounds):
            count = page.evaluate("locstyle.store.results.value.length")
            before, began = served.cpu, time.monotonic()
            page.get_by_label("Strength", exact=True).fill(f"{0.5 + 0.05 * turn:.2f}")
            until(page, f"store.results.value.length > {count} && pictures.bitmaps.result && 1")
            walls.append(time.monotonic() - began)
            servers.append(served.cpu - before)
        held = served.held
    return {
        "a preview after a change of strength, 600 x 400": f"{statistics.median(walls):.1f} s, "
        f"{statistics.median(servers):.1f} s of the server's CPU",
        "the server with `mini` and that photo": f"{held:,.0f} MB",
    }


def edit_a_box(page: Any) -> None:
    """A region in the middle of the photo, in a style."""
    until(page, "pictures.bitmaps.photo && 1")
    until(page, "store.styles.value.length")
    box = page.locator("#stage").bounding_box()
    page.keyboard.press("m")
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="swirl LoRA").click()


def large(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = drawn(folder / "hundred.jpg", 12240, 8160)
    rows: dict[str, str] = {}
    with browsing(wanted.chromium) as browser, serving(photo) as served:
        page = opened(browser, served.address)

        def note(what: str) -> None:
            heap = page.evaluate("performance.memory.usedJSHeapSize") / MB
            renderer = max(map(held_by, browsers()))
            rows[f"100 megapixels, {what}"] = (
                f"after {time.time() - served.began:.0f} s; server {served.held:,.0f} MB, "
                f"JavaScript {heap:.0f}, the browser's largest process {renderer:,.0f}"
            )

        until(page, "pictures.firstPicture.value")
        note("seen")
        until(page, "segments.labels.value && 1")
        note("its objects found")
        edit_a_box(page)
        until(page, "store.results.value.length && !store.run.value")
        note("a region drawn")
        page.get_by_role("button", name="Photo", exact=True).click()
        page.keyboard.press(".")
        until(page, "pictures.tiles.photo.known.size && 1")
        page.wait_for_timeout(1500)
        note("looked at closely")
    return rows


def hammer(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = drawn(folder / "small.jpg", 600, 400)
    region = {"mask": "box:100,100,300,300", "style": "swirl"}
    recipe = {"locstyle": 2, "image": photo.name, "regions": [region]}
    with serving(photo) as served:
        served.call("hello")
        served.call("preview", {"recipe": recipe, "client": "first"})
        while served.call("results") != 200 or not idle(served):
            time.sleep(0.2)
        before, threads = served.held, threads_of(served.process)
        statuses: list[int] = []
        waits: list[float] = []

        def client(number: int) -> None:
            ends, turn = time.monotonic() + wanted.seconds, 0
            while time.monotonic() < ends:
                turn += 1
                stroke = {"mask": f"brush:{1 + turn % 40}:{turn % 600},{number * 40}"}
                began = time.monotonic()
                statuses.append(served.call("masks", {"recipe": recipe | {"regions": [stroke]}}))
                waits.append(time.monotonic() - began)
                statuses.append(served.call("styles"))
                sent = {"recipe": recipe | {"seed": turn}, "client": str(number)}
                statuses.append(served.call("preview", sent))

        clients = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        during = served.held
        while not idle(served):
            time.sleep(0.5)
        counted = ", ".join(f"{statuses.count(one)} × {one}" for one in sorted(set(statuses)))
        return {
            f"ten clients, {wanted.seconds:.0f} s: answers": counted,
            "the same: a mask": f"{1000 * statistics.median(waits):.0f} ms, "
            f"at most {max(waits):.1f} s",
            "the same: the server": f"{before:,.0f} MB before, {during:,.0f} at the end, "
            f"{served.held:,.0f} after; threads {threads} and {threads_of(served.process)}",
        }


def idle(served: Served) -> bool:
    """Whether no job waits or runs."""
    origin, _, token = served.address.partition("/#token=")
    asked = urllib.request.Request(f"{origin}/api/jobs", headers={"Locstyle-Token": token})
    with urllib.request.urlopen(asked, timeout=120) as answer:
        jobs = json.loads(answer.read())["jobs"]
    return not any(job["state"] in ("waiting", "running") for job in jobs)


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, str]]] = {
    "first": first,
    "hand": hand,
    "preview": preview,
    "large": large,
    "hammer": hammer,
}

if __name__ == "__main__":
    main()
