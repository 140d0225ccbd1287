"""Does `grain` bring a region to the sharpness of the photo around it? On real photos.

    python benchmarks/grain.py [--steps 6] [--out OUT]

Two photos that come with scikit-image, each with a region that `mini` draws on fewer pixels than
the photo has there: as they are, without grain, and with it. `inside/outside`: the typical gradient
of luminance inside the region over that of its surroundings; grain aims at the photo's own fine
scale around the region, so at what the photo has outside, not inside.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import skimage.data
import torch
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle.job.grain import sharpness

PHOTOS = {"astronaut": "box:60,120,452,512", "coffee": "box:60,40,460,380"}
AROUND = 40
"""Photo pixels around a region that count as its surroundings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path, help="where to write the pictures")
    wanted = parser.parse_args()
    editor = ls.Editor.load("mini", device="cpu")
    table = Table("photo", "style", "detail", "photo", "without grain", "with grain")
    for name, place in PHOTOS.items():
        pixels = np.asarray(getattr(skimage.data, name)())
        edit = ls.Edit(pixels, (ls.Region(place, "swirl"),), steps=wanted.steps)
        plain = editor.run(edit)
        grained = editor.run(replace(plain.edit, grain="auto", digests={}))
        inside = plain.masks[0].values == 1
        x0, y0, x1, y1 = (int(value) for value in place.removeprefix("box:").split(","))
        around = torch.zeros_like(inside)
        around[max(0, y0 - AROUND) : y1 + AROUND, max(0, x0 - AROUND) : x1 + AROUND] = True
        outside = around & ~inside
        shares = [_share(one, inside, outside) for one in (pixels, plain, grained)]
        drawn = plain.frames[0]
        scale = drawn.working_size[0] / (drawn.box[3] - drawn.box[1])
        table.add_row(name, "swirl", f"{scale:.2f}", *(f"{share:.2f}" for share in shares))
        if wanted.out:
            wanted.out.mkdir(parents=True, exist_ok=True)
            plain.save(wanted.out / f"{name}-plain.png")
            grained.save(wanted.out / f"{name}-grain.png")
    Console().print(table)


def _share(one: ls.Result | np.ndarray, inside: torch.Tensor, outside: torch.Tensor) -> float:
    """Sharpness inside over outside."""
    pixels = one if isinstance(one, np.ndarray) else np.asarray(one.image.convert("RGB"))
    values = torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255
    return sharpness(values, inside) / sharpness(values, outside)


if __name__ == "__main__":
    main()
