"""What do more regions cost? Rows, memory and time of `singlepass` with 1, 2, 4 and 8 of them.

    python benchmarks/region_cost.py [--backbone tiny|mini|FOLDER] [--side 128] [--steps 4]

Every number of regions runs in a process of its own, with as many different random LoRAs of rank
16 on every layer. Prints rows, peak memory and seconds, and their ratios to one region; ends with
status 1 if rows or peak memory grow by more than 1.3 times. Time is printed and not judged: it is a
property of the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import locstyle as ls

REGIONS = (1, 2, 4, 8)
LIMIT = 1.3
RANK = 16
PARTS = (
    *("to_q", "to_k", "to_v", "to_out", "conv1", "conv2"),
    *("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"),
)
FIGURES = {
    "rows": "rows denoised",
    "inversion_rows": "rows inverted",
    "memory": "peak memory, MiB",
    "above": "of it above the loaded model, MiB",
    "seconds": "seconds",
}
JUDGED = ("rows", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="tiny", help="tiny (random weights), mini, a folder")
    parser.add_argument("--fusion", default="singlepass")
    parser.add_argument("--side", type=int, default=128, help="side of the picture in pixels")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)  # one process's share
    wanted = parser.parse_args()
    if wanted.only:
        print(json.dumps(run(wanted, wanted.only)))
        return 0
    found = {regions: in_own_process(regions) for regions in REGIONS}
    report(found, wanted)
    grown = {key: found[max(REGIONS)][key] / found[1][key] for key in JUDGED}
    return int(any(ratio > LIMIT for ratio in grown.values()))


def in_own_process(regions: int) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--only", str(regions)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return last


def run(wanted: Any, regions: int) -> dict[str, float]:
    """One edit with this many regions, after one of a single step that warms up."""
    from locstyle_plugins.bench.cost import held, measured

    import locstyle as ls
    from locstyle import testing

    if wanted.backbone == "tiny":
        editor = ls.Editor(testing.tiny_backbone(device=wanted.device))
    else:
        editor = ls.Editor.load(wanted.backbone, device=wanted.device)
    device = editor.backbone.device
    loaded = held(device)
    styles = [
        testing.random_style(editor.backbone, seed, rank=RANK, parts=PARTS)
        for seed in range(regions)
    ]
    edit = ls.Edit(
        image=np.random.default_rng(0).integers(0, 256, (wanted.side, wanted.side, 3), np.uint8),
        regions=tuple(
            ls.Region(mask, style, strength=0.1)
            for mask, style in zip(bands(wanted.side, regions), styles, strict=True)
        ),
        fusion=ls.Fusing(wanted.fusion),
        size=wanted.side,
        steps=wanted.steps,
    )
    editor.run(replace(edit, steps=1))
    with measured(device) as cost:
        result = editor.run(edit)
    return {
        "rows": result.report.rows,
        "inversion_rows": result.report.inversion_rows,
        "memory": cost.memory,
        "above": cost.memory - loaded,
        "seconds": cost.seconds,
    }


def bands(side: int, count: int) -> list[ls.Mask]:
    """Masks of `count` upright bands that together cover the left four fifths of the picture."""
    import locstyle as ls

    edges = np.linspace(0, 0.8 * side, count + 1).round().astype(int).tolist()
    return [
        ls.Mask.box((left, 0, right, side), size=(side, side))
        for left, right in itertools.pairwise(edges)
    ]


def report(found: dict[int, dict[str, float]], wanted: Any) -> None:
    title = f"{wanted.fusion} on {wanted.backbone}, {wanted.side} pixels, {wanted.steps} steps"
    table = Table("regions", *FIGURES.values(), title=title)
    for regions, row in found.items():
        table.add_row(
            str(regions),
            *(f"{row[key]:.4g} ({ratio(row[key], found[1][key])})" for key in FIGURES),
        )
    Console(width=120).print(table)
    if wanted.json:
        settings = {key: str(value) for key, value in vars(wanted).items() if value is not None}
        plain = {"settings": settings, "regions": found}
        wanted.json.write_text(json.dumps(plain, indent=1))


def ratio(value: float, one: float) -> str:
    return f"x{value / one:.2f}" if one else "-"


if __name__ == "__main__":
    sys.exit(main())
