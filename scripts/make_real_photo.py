"""Makes docs/pictures/real-photo.jpg: a real photo, and two of its regions in two styles.

    python scripts/make_real_photo.py

The photo is `coffee` of scikit-image, whose package has it: by Rachel Michetti, courtesy of Pikolo
Espresso Bar, CC0 as the package's documentation of `skimage.data.coffee` says.
"""

from __future__ import annotations

from math import cos, pi, sin
from pathlib import Path

import skimage.data
from PIL import Image

import locstyle as ls

PICTURE = Path(__file__).parent.parent / "docs/pictures/real-photo.jpg"
CUP = (
    "lasso:173,100;180,60;220,28;290,16;360,35;400,75;410,125;400,165;385,200;360,240;330,270;"
    "290,286;262,282;240,306;210,307;195,285;205,250;220,235;195,205;178,150"
)
GAP = 8


def main() -> None:
    photo = Image.fromarray(skimage.data.coffee())
    result = ls.Editor.load("mini", device="cpu").run(edit(photo))
    sheet = Image.new("RGB", (2 * photo.width + GAP, photo.height), (255, 255, 255))
    sheet.paste(photo, (0, 0))
    sheet.paste(result.image, (photo.width + GAP, 0))
    sheet.save(PICTURE, quality=85, optimize=True)
    seconds = {phase: f"{time:.1f}" for phase, time in result.report.seconds.items()}
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB; {seconds}")


def edit(photo: Image.Image) -> ls.Edit:
    """The saucer in one style, the table in another; the cup stays as it is."""
    saucer = oval(278, 229, 203, 160)
    regions = (
        ls.Region(f"all - {saucer} - {CUP}", "stained-glass"),
        ls.Region(f"{saucer} - {CUP}", "swirl"),
    )
    return ls.Edit(photo, regions, prompt="a cup of coffee on a table")


def oval(x: float, y: float, across: float, down: float) -> str:
    """A selection of an upright oval, as an outline of 36 points."""
    turns = (n * pi / 18 for n in range(36))
    points = (f"{x + across * cos(turn):.0f},{y + down * sin(turn):.0f}" for turn in turns)
    return f"lasso:{';'.join(points)}"


if __name__ == "__main__":
    main()
