"""Makes docs/pictures/page-running.jpg and page-result.jpg: the page as somebody uses it.

    python scripts/make_page_pictures.py [--chromium PATH]

In a real Chromium, on `mini`: three regions of a photo are clicked, each is given a style; one
picture is taken while the last preview is drawn, one when it is there. The photo is `coffee` of
scikit-image, by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # playwright's

import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import page_kit as kit  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
VIEW = {"width": 1280, "height": 920}
REGIONS = (
    ("table", "engraving LoRA", ((560, 60), (40, 180), (560, 330), (60, 370))),
    ("saucer", "stained-glass LoRA", ((120, 250), (460, 260), (300, 340))),
    ("coffee", "swirl LoRA", ((280, 150),)),
)
"""What each is called, its style, and the points (x, y) of the photo that are clicked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOCSTYLE_CACHE"] = str(Path(folder) / "cache")
        photo = Path(folder) / "coffee.png"
        Image.fromarray(skimage.data.coffee()).save(photo)
        with kit.browsing(wanted.chromium) as browser, kit.serving(photo) as served:
            page = browser.new_context(viewport=VIEW, color_scheme="dark").new_page()
            page.goto(served.address, wait_until="commit")
            kit.until(page, "segments.labels.value && store.styles.value.length")
            use(page, served.process)


def use(page: Any, server: int) -> None:
    """Marks the regions, gives them their styles, and takes the pictures."""
    for number, (name, style, points) in enumerate(REGIONS, 1):
        page.keyboard.press("n")
        for point in points:
            page.mouse.click(*at(page, *point))
        page.locator(f".card:nth-last-child({number}) .name").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("button", name=style, exact=True).click()
        page.mouse.move(2, 2)  # away from the photo: nothing lights up
        if number == len(REGIONS):
            page.locator(".tiles").evaluate("(one) => (one.scrollTop = 0)")
            under_way(page)
            with held(server):
                take(page, "page-running.jpg")
        kit.until(page, f"store.results.value[0]?.asked.regions.length === {number}")
    kit.until(page, "!store.run.value && !pictures.bitmaps.step && store.estimate.value?.render")
    page.keyboard.press("n")
    page.get_by_text("The whole edit").click()
    page.mouse.move(2, 2)
    page.wait_for_timeout(6000)  # passing notes are gone
    take(page, "page-result.jpg")


def under_way(page: Any) -> None:
    """Waits until a step of a preview is seen; with another seed where it was done too soon."""
    seen = "store.run.value?.step?.phase === 'denoise' && pictures.bitmaps.step && 1"
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            kit.until(page, seen, 40)
            return
        page.keyboard.press("d")
    raise TimeoutError("no step of a preview was seen")


@contextlib.contextmanager
def held(process: int) -> Iterator[None]:
    """A process that goes on afterwards, so that a picture shows what it was at."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the photo lies in the window."""
    box, view = page.locator("#stage").bounding_box(), page.evaluate("locstyle.camera.view.value")
    return box["x"] + view["x"] + x * view["scale"], box["y"] + view["y"] + y * view["scale"]


def take(page: Any, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(PICTURES / name, quality=88, optimize=True, progressive=True)
    print(f"{PICTURES / name}: {(PICTURES / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
