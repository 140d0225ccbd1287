"""How near does a photo come back from its inversion, and what does that cost?

    python benchmarks/inversion.py --out OUT [--photos 2] [--steps 50] [--pivot-iterations 10]
        [--only pivot]

Photos of the held-out world. Prints PSNR in dB of what comes back, against the photo as the
autoencoder has it, beside rows and CPU seconds of the way up; writes OUT/inversion.json and
OUT/inversion.png.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from locstyle_plugins.bench.cases import FIRST_SCENE
from locstyle_plugins.world import HELD_OUT_WORLD, World
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

import locstyle as ls
from locstyle.sheet import contact_sheet

Make = Callable[[ls.Backbone, Tensor, int], ls.Trajectory]


@dataclass(frozen=True)
class Way:
    """A way up from a clean latent; `is_followed`: the way back is the trajectory itself."""

    name: str
    make: Make
    is_followed: bool = False


def plain(steps: int | None = None, **how: object) -> Make:
    """Inversion in the steps of the way back, or in more of them."""

    def make(backbone: ls.Backbone, latent: Tensor, usual: int) -> ls.Trajectory:
        schedule = backbone.schedule(steps or usual)
        return ls.invert(backbone, latent, schedule, text=backbone.text(""), **how)

    return make


def pivoted(guidance: float, iterations: int) -> Make:
    def make(backbone: ls.Backbone, latent: Tensor, steps: int) -> ls.Trajectory:
        empty, schedule = backbone.text(""), backbone.schedule(steps)
        content = ls.invert(backbone, latent, schedule, text=empty)
        how = ls.Pivot(guidance, iterations)
        return ls.pivot(backbone, content, schedule, text=empty, how=how)

    return make


def back(backbone: ls.Backbone, content: ls.Trajectory, steps: int) -> Tensor:
    """What denoising without words comes back to."""
    schedule = backbone.schedule(steps)
    plan = ls.Plan((ls.Branch("x", backbone.text("")),), (), lambda seen, call: seen["x"])
    return ls.denoise(backbone, plan, schedule, content.at(schedule.noisiest)).latent


def ways(steps: int, iterations: int) -> list[Way]:
    return [
        Way("as it is", plain()),
        Way(f"{2 * steps} steps up", plain(2 * steps)),
        *(Way(f"refine {n}", plain(refine=n)) for n in (1, 2, 4)),
        Way("stored trajectory", plain(), is_followed=True),
        Way(f"pivot, at most {iterations} updates", pivoted(7.5, iterations), is_followed=True),
        Way("aligned", plain(aligned=True)),
        Way("aligned, refine 2", plain(refine=2, aligned=True)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--pivot-iterations", type=int, default=10)
    parser.add_argument("--only", default="", help="the ways with this in their name")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    backbone = ls.Editor.load(wanted.backbone, device=wanted.device).backbone
    world = World(HELD_OUT_WORLD, wanted.size)
    photos = [world.scene(FIRST_SCENE + number).photo for number in range(wanted.photos)]
    pictures = [("photo", Image.fromarray(photo)) for photo in photos]
    rows = []
    for way in ways(wanted.steps, wanted.pivot_iterations):
        if wanted.only not in way.name:
            continue
        row, made = measured(backbone, way, photos, wanted.steps)
        rows.append(row)
        pictures += [(way.name, picture) for picture in made]
        print(json.dumps(row), flush=True)
    settings = {key: str(value) for key, value in vars(wanted).items() if key != "out"}
    text = json.dumps({"settings": settings, "rows": rows}, indent=1)
    (wanted.out / "inversion.json").write_text(text)
    contact_sheet(pictures, wanted.photos).save(wanted.out / "inversion.png")
    table = Table("way", "PSNR dB", "worst dB", "rows a photo", "CPU seconds a photo")
    for row in rows:
        table.add_row(
            row["way"],
            *(f"{row[key]:.1f}" for key in ("psnr", "worst")),
            f"{row['rows']:.0f}",
            f"{row['seconds']:.1f}",
        )
    Console(width=120).print(table)


def measured(
    backbone: ls.Backbone, way: Way, photos: list[np.ndarray], steps: int
) -> tuple[dict, list[Image.Image]]:
    """Mean and worst PSNR over the photos, and rows and seconds of the way up."""
    found, pictures, rows, seconds = [], [], 0, 0.0
    for photo in photos:
        pixels = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
        latent = backbone.encode(pixels)
        start = time.process_time()
        with torch.no_grad():
            content = way.make(backbone, latent, steps)
            seconds += time.process_time() - start
            came = content.at(ls.CLEAN) if way.is_followed else back(backbone, content, steps)
        goal, got = (backbone.decode(x)[0].permute(1, 2, 0).cpu().numpy() for x in (latent, came))
        found.append(min(99.0, ls.measure.psnr(got, goal)))
        pictures.append(Image.fromarray((255 * got).round().astype(np.uint8)))
        rows += content.rows
    count = len(photos)
    row = {"way": way.name, "psnr": float(np.mean(found)), "worst": min(found)}
    return row | {"rows": rows / count, "seconds": seconds / count}, pictures


if __name__ == "__main__":
    main()
