"""Do edits bring the style picture's things along? Asked of the pictures of a finished benchmark.

    locstyle bench quality -o OUT … && python benchmarks/things.py OUT

Prints by method how much of the style picture's layout is in the regions, beyond the truth and the
photo (`locstyle.measure.things_taken`), means over scenes ± half a 95 % interval. *Elsewhere* is
the same asked of the style picture upside down and moved, which no method saw: what chance gives.
Nothing is drawn anew; runs on pictures without a truth are taken beyond the photo alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from locstyle_plugins.bench.statistics import interval
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import measure

Pixels = NDArray[np.uint8]


class Found(NamedTuple):
    """The figures of one region by one method."""

    case: str
    method: str
    there: measure.Things
    elsewhere: measure.Things


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder of a run of `locstyle bench quality`")
    parser.add_argument("--only", default="", help="methods, with commas; all unless given")
    wanted = parser.parse_args()
    results = json.loads((wanted.out / "results.json").read_text("utf-8"))
    methods = [one for one in wanted.only.split(",") if one] or list(results["methods"])
    found = [
        one
        for case in results["cases"]
        for one in regions(wanted.out / "pictures" / case["name"], len(case["regions"]), methods)
    ]
    table = Table("method", "regions", "places", "elsewhere", "segments", "elsewhere")
    for method in ("half the style picture", "the style picture", *methods):
        rows = [one for one in found if one.method == method]
        if rows:
            table.add_row(method, str(len(rows)), *cells(rows))
    Console(width=120).print(table)


def regions(folder: Path, count: int, methods: list[str]) -> Iterator[Found]:
    """All methods of one case, and what they would have if all or half of it came along."""
    photo, truth = picture(folder / "photo.png"), folder / "truth.png"
    known = [photo, picture(truth)] if truth.exists() else [photo]
    drawn = {one: folder / f"{slug(one)}.png" for one in methods}
    outputs = {name: picture(path) for name, path in drawn.items() if path.exists()}
    for index, mask in enumerate(masks(picture(folder / "regions.png"), count)):
        style = picture(folder / f"style-{index}.png")
        placed = np.asarray(Image.fromarray(style).resize(photo.shape[1::-1]))
        half = (placed.astype(np.uint16) + known[-1]) // 2
        yardsticks = {"half the style picture": half.astype(np.uint8), "the style picture": placed}
        moved = np.roll(style[::-1], style.shape[1] // 2, 1)
        for name, output in {**yardsticks, **outputs}.items():
            there, elsewhere = (
                measure.things_taken(output, one, known, mask) for one in (style, moved)
            )
            yield Found(folder.name, name, there, elsewhere)


def cells(rows: list[Found]) -> Iterator[str]:
    """Places and segments, each there and elsewhere, where a region has them."""
    for part in (0, 1):
        for where in ("there", "elsewhere"):
            seen = [(one.case, getattr(one, where)[part]) for one in rows]
            seen = [(case, value) for case, value in seen if np.isfinite(value)]
            mean = interval([value for _, value in seen], [case for case, _ in seen])
            yield f"{mean.mean:.3f} ±{mean.half:.3f}"


def masks(coloured: Pixels, count: int) -> Iterator[NDArray[np.bool_]]:
    """The regions out of a run's picture of them."""
    one_each = [ls.Mask(torch.eye(count)[i][None]) for i in range(count)]
    colours = np.asarray(ls.Partition.of(one_each).image.convert("RGB"))[0].astype(int)
    for colour in colours:
        yield np.abs(coloured.astype(int) - colour).sum(-1) < 6


def picture(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


if __name__ == "__main__":
    main()
