"""How long does the page of `locstyle edit` let one wait, and what does it hold in memory?

    python benchmarks/page.py [--only first,hand,preview,large,hammer] [--rounds 5] [--json FILE]

In a real Chromium (`--chromium PATH`), driven by playwright, the server in a process of its own
with a cache of its own. Medians of the rounds, or of all events. Seconds of the CPU, of the server
and of the browser, stand beside those of the wall: on a busy machine they are the ones to compare.

first    from the command to the painted picture of a photo of 12 megapixels, in a browser that runs
hand     from a pointer's event to the painted frame that answers it: hovering, a stroke
preview  a region of a photo of 600 x 400 in another strength, by `mini`, to the shown result
large    100 megapixels: opened, its objects found, a region drawn; what page and server hold
hammer   ten clients for `--seconds` (60), and what the server holds before and after
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any  # playwright's, JSON

import numpy as np
import page_kit as kit
from rich.console import Console
from rich.table import Table

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


def first(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = kit.drawn(folder / "twelve.jpg", 4000, 3000)
    walls, pages, servers, shown, addresses = [], [], [], [], []
    with kit.browsing(wanted.chromium) as browser:
        for _ in range(wanted.rounds):
            page = kit.tab_of(browser)  # the browser is open already, as people's are
            before = kit.cpu_of(kit.browsers())
            with kit.serving(photo) as served:
                addresses.append(time.time() - served.began)
                page.goto(served.address, wait_until="commit")
                pages.append(kit.until(page, "pictures.firstPicture.value") / 1000)
                servers.append(served.cpu)
                shown.append(kit.cpu_of(kit.browsers()) - before)
                began = page.evaluate("performance.timeOrigin") / 1000 - served.began
                walls.append(began + pages[-1])
                page.context.close()
    middle = statistics.median
    return {
        "from the command to its address": f"{middle(addresses):.2f} s",
        "from the command to the picture, 12 megapixels": f"{middle(walls):.2f} s of the wall, "
        f"{min(walls):.2f} to {max(walls):.2f}",
        "of these, from the page's start": f"{middle(pages):.2f} s",
        "seconds of the CPU until the page is whole": f"{middle(servers):.2f} the server, "
        f"{middle(shown):.2f} the browser",
    }


def hand(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = kit.drawn(folder / "twelve.jpg", 4000, 3000)
    with kit.browsing(wanted.chromium) as browser, kit.serving(photo) as served:
        page = kit.opened(browser, served.address)
        began = time.monotonic()
        kit.until(page, "pictures.bitmaps.photo && 1")
        kit.until(page, "segments.labels.value && 1")
        looked = time.monotonic() - began
        kit.until(page, "store.model.value.state === 'ready'")
        page.evaluate(ANSWERS)
        hovers = moved(page, wanted.rounds)
        page.evaluate("window.isInk = true")
        page.keyboard.press("b")
        page.mouse.down()
        strokes = moved(page, wanted.rounds)
        began = time.monotonic()
        page.mouse.up()
        kit.until(page, "[...store.masks.value.values()][0]?.id")
        mask = time.monotonic() - began
        heap = page.evaluate("performance.memory.usedJSHeapSize") / kit.MB
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
    photo = kit.drawn(folder / "small.jpg", 600, 400)
    walls, servers = [], []
    with kit.browsing(wanted.chromium) as browser, kit.serving(photo) as served:
        page = kit.opened(browser, served.address)
        edit_a_box(page)
        kit.until(page, "store.results.value.length && !store.run.value")
        for turn in range(wanted.rounds):
            count = page.evaluate("locstyle.store.results.value.length")
            before, began = served.cpu, time.monotonic()
            page.get_by_label("Strength", exact=True).fill(f"{0.5 + 0.05 * turn:.2f}")
            kit.until(page, f"store.results.value.length > {count} && pictures.bitmaps.result && 1")
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
    kit.until(page, "pictures.bitmaps.photo && 1")
    kit.until(page, "store.styles.value.length")
    box = page.locator("#stage").bounding_box()
    page.keyboard.press("m")
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="swirl LoRA").click()


def large(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = kit.drawn(folder / "hundred.jpg", 12240, 8160)
    rows: dict[str, str] = {}
    with kit.browsing(wanted.chromium) as browser, kit.serving(photo) as served:
        page = kit.opened(browser, served.address)

        def note(what: str) -> None:
            heap = page.evaluate("performance.memory.usedJSHeapSize") / kit.MB
            renderer = max(map(kit.held_by, kit.browsers()))
            rows[f"100 megapixels, {what}"] = (
                f"after {time.time() - served.began:.0f} s; server {served.held:,.0f} MB, "
                f"JavaScript {heap:.0f}, the browser's largest process {renderer:,.0f}"
            )

        kit.until(page, "pictures.firstPicture.value")
        note("seen")
        kit.until(page, "segments.labels.value && 1")
        note("its objects found")
        edit_a_box(page)
        kit.until(page, "store.results.value.length && !store.run.value")
        note("a region drawn")
        page.get_by_role("button", name="Photo", exact=True).click()
        page.keyboard.press(".")
        kit.until(page, "pictures.tiles.photo.known.size && 1")
        page.wait_for_timeout(1500)
        note("looked at closely")
    return rows


def hammer(folder: Path, wanted: argparse.Namespace) -> dict[str, str]:
    photo = kit.drawn(folder / "small.jpg", 600, 400)
    region = {"mask": "box:100,100,300,300", "style": "swirl"}
    recipe = {"locstyle": 2, "image": photo.name, "regions": [region]}
    statuses: list[int] = []
    waits: list[float] = []
    with kit.serving(photo) as served:

        def client(number: int) -> None:
            ends, turn = time.monotonic() + wanted.seconds, 0
            while time.monotonic() < ends:
                turn += 1
                stroke = {"mask": f"brush:{1 + turn % 40}:{turn % 600},{number * 40}"}
                began = time.monotonic()
                drawn = recipe | {"regions": [stroke]}
                statuses.append(served.ask("masks", {"recipe": drawn})[0])
                waits.append(time.monotonic() - began)
                statuses.append(served.ask("styles")[0])
                sent = {"recipe": recipe | {"seed": turn}, "client": str(number)}
                statuses.append(served.ask("preview", sent)[0])

        served.ask("hello")
        served.ask("preview", {"recipe": recipe, "client": "first"})
        served.rest()
        held = [served.held]
        threads = [kit.threads_of(served.process)]
        clients = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        held.append(served.held)
        served.rest()
        held.append(served.held)
        threads.append(kit.threads_of(served.process))
    counted = ", ".join(f"{statuses.count(one)} × {one}" for one in sorted(set(statuses)))
    return {
        f"ten clients, {wanted.seconds:.0f} s: answers": counted,
        "the same: a mask": f"{1000 * statistics.median(waits):.0f} ms, "
        f"95 % within {float(np.quantile(waits, 0.95)):.1f} s, at most {max(waits):.1f} s",
        "the same: the server, before, at the end, and after": "{:,.0f}, {:,.0f} and {:,.0f} MB; "
        "threads {} and {}".format(*held, *threads),
    }


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, str]]] = {
    "first": first,
    "hand": hand,
    "preview": preview,
    "large": large,
    "hammer": hammer,
}

if __name__ == "__main__":
    main()
