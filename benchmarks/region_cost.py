"""What do more regions cost, or more steps? Rows, memory and time of an edit, and their ratios.

    python benchmarks/region_cost.py [--backbone tiny|mini|FOLDER] [--side 128] [--steps 4]
    python benchmarks/region_cost.py --fusion magicstyle --styles pictures
    python benchmarks/region_cost.py --fusion magicstyle --styles pictures --vary steps

    python benchmarks/region_cost.py --styles mixed
    python benchmarks/region_cost.py --backbone mini --apart

1, 2, 4 and 8 regions, or 4, 16 and 48 steps with two regions, each in a process of its own. Every
region has a random style of its own: a LoRA of rank 16 on every layer, or a picture, or in turn
LoRA, words and tokens ("mixed"). Ends with status 1 if peak memory grows by more than 1.3 times, or
without pictures the rows do; a picture is one row more, and a step needs its own. Time is printed
and not judged: it is the machine's; CPU seconds say more on a busy one. With `--apart` the regions
lie far apart on a photo of eight times the side, each in a frame of its own that is as large as the
one frame they share without it; rows then grow with them, and are not judged.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import locstyle as ls

VARIED = {"regions": (1, 2, 4, 8), "steps": (4, 16, 48)}
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
    "cpu": "CPU seconds",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="tiny", help="tiny (random weights), mini, a folder")
    parser.add_argument("--fusion", default="singlepass")
    parser.add_argument("--styles", choices=("loras", "pictures", "mixed"), default="loras")
    parser.add_argument("--vary", choices=tuple(VARIED), default="regions")
    parser.add_argument("--apart", action="store_true", help="every region in a frame of its own")
    parser.add_argument("--side", type=int, default=128, help="side of the picture in pixels")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)  # one process's share
    wanted = parser.parse_args()
    if wanted.only:
        regions, steps = (
            (wanted.only, wanted.steps) if wanted.vary == "regions" else (2, wanted.only)
        )
        print(json.dumps(run(wanted, regions, steps)))
        return 0
    counts = VARIED[wanted.vary]
    found = {count: in_own_process(count) for count in counts}
    report(found, wanted)
    flat = wanted.vary == "regions" and wanted.styles != "pictures" and not wanted.apart
    judged = ("rows", "memory") if flat else ("memory",)
    grown = [found[counts[-1]][key] / found[counts[0]][key] for key in judged]
    return int(any(ratio > LIMIT for ratio in grown))


def in_own_process(count: int) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--only", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return last


def run(wanted: Any, regions: int, steps: int) -> dict[str, float]:
    """One edit, after one of a single step that warms up."""
    from locstyle_plugins.bench.cost import held, measured

    import locstyle as ls
    from locstyle import testing

    if wanted.backbone == "tiny":
        editor = ls.Editor(testing.tiny_backbone(device=wanted.device))
    else:
        editor = ls.Editor.load(wanted.backbone, device=wanted.device)
    device = editor.backbone.device
    loaded = held(device)
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (regions + 1, wanted.side, wanted.side, 3), np.uint8)
    photo = np.tile(pictures[0], (8, 8, 1)) if wanted.apart else pictures[0]
    masks = islands(wanted.side, regions) if wanted.apart else bands(wanted.side, regions)
    makers = {
        "pictures": lambda seed: ls.Style.from_pictures(str(seed), [pictures[seed + 1]]),
        "loras": lambda seed: testing.random_style(editor.backbone, seed, rank=RANK, parts=PARTS),
        "words": lambda seed: testing.random_words(editor.backbone, seed, count=3),
        "tokens": lambda seed: testing.random_tokens(editor.backbone, seed, count=16),
    }
    turns = ("loras", "words", "tokens") if wanted.styles == "mixed" else (wanted.styles,)
    styles = [makers[turns[seed % len(turns)]](seed) for seed in range(regions)]
    edit = ls.Edit(
        image=photo,
        regions=tuple(
            ls.Region(mask, style, strength=0.1 if "deltas" in style.kinds else 1.0)
            for mask, style in zip(masks, styles, strict=True)
        ),
        fusion=ls.Fusing(wanted.fusion),
        size=None if wanted.apart else wanted.side,
        detail=1.0 if wanted.apart else "auto",
        steps=steps,
    )
    editor.run(replace(edit, steps=1))
    begun = time.process_time()
    with measured(device) as cost:
        result = editor.run(edit)
    spent = time.process_time() - begun
    if wanted.apart and len(result.frames) != regions:
        raise SystemExit(f"{regions} regions made {len(result.frames)} frames")
    return {
        "rows": result.report.rows,
        "inversion_rows": result.report.inversion_rows,
        "memory": cost.memory,
        "above": cost.memory - loaded,
        "seconds": cost.seconds,
        "cpu": spent,
    }


def bands(side: int, count: int) -> list[ls.Mask]:
    """Masks of `count` upright bands that together cover the left four fifths of the picture."""
    import locstyle as ls

    edges = np.linspace(0, 0.8 * side, count + 1).round().astype(int).tolist()
    return [
        ls.Mask.box((left, 0, right, side), size=(side, side))
        for left, right in itertools.pairwise(edges)
    ]


def islands(side: int, count: int) -> list[ls.Mask]:
    """Masks of `count` squares far apart, each of which makes a frame of `side` with its margin."""
    import locstyle as ls

    places = [(2 * side * (n % 4) + side, 4 * side * (n // 4) + side) for n in range(count)]
    length = round(0.6 * side)
    size = 8 * side, 8 * side
    return [ls.Mask.box((x, y, x + length, y + length), size=size) for x, y in places]


def report(found: dict[int, dict[str, float]], wanted: Any) -> None:
    fixed = f"{wanted.steps} steps" if wanted.vary == "regions" else "2 regions"
    title = f"{wanted.fusion}, {wanted.styles}, {wanted.backbone}, {wanted.side} pixels, {fixed}"
    table = Table(wanted.vary, *FIGURES.values(), title=title)
    first = next(iter(found.values()))
    for count, row in found.items():
        table.add_row(
            str(count), *(f"{row[key]:.4g} ({ratio(row[key], first[key])})" for key in FIGURES)
        )
    Console(width=120).print(table)
    if wanted.json:
        settings = {key: str(value) for key, value in vars(wanted).items() if value is not None}
        plain = {"settings": settings, wanted.vary: found}
        wanted.json.write_text(json.dumps(plain, indent=1))


def ratio(value: float, one: float) -> str:
    return f"x{value / one:.2f}" if one else "-"


if __name__ == "__main__":
    sys.exit(main())
