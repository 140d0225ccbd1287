"""Does memory stay bounded while a large photo is drawn at its own resolution, in tiles?

    python benchmarks/tiled_memory.py [--height 900] [--steps 2] [--photo PHOTO] [--out OUT.png]

The upper 6000 × HEIGHT pixels of a photo of 6000 × 4000 (a drawn one, unless named) in embroidery
at detail 1, by `mini`. Memory is the process's on the CPU, at most, above what it holds with the
model loaded. Ends with status 1 if that is more than the photo's, the frame's and one tile's share,
1.5 GiB in all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from large_photo import draw
from locstyle_plugins.bench.cost import held, measured
from PIL import Image

import locstyle as ls

GOAL = 1536  # MiB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=900, help="of the part that is drawn")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--photo", type=Path, help="instead of a drawn one of 6000 × 4000 pixels")
    parser.add_argument("--out", type=Path, help="where to write the picture")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = wanted.photo or Path(folder) / "photo.png"
        if wanted.photo is None:
            draw(photo, 6000, 4000)
        return drawn(photo, wanted)


def drawn(photo: Path, wanted: argparse.Namespace) -> int:
    cpu = torch.device("cpu")
    editor = ls.Editor.load("mini", device="cpu")
    with Image.open(photo) as opened:
        width = opened.width
    region = ls.Region(f"box:0,0,{width},{wanted.height}", "embroidery")
    before, started = held(cpu), time.process_time()
    with measured(cpu) as cost:
        result = editor.run(ls.Edit(photo, (region,), detail=1.0, steps=wanted.steps))
    above, seconds = cost.memory - before, time.process_time() - started
    for frame in result.report.frames:
        size = " × ".join(map(str, reversed(frame.working_size)))
        print(f"{size} pixels in {frame.tiles} tiles, {frame.rows + frame.inversion_rows} rows")
    print(f"{seconds:.0f} CPU s; {before:.0f} MiB with the model, at most {above:.0f} above it")
    print(f"outside identical: {result.report.outside_identical:.2%}")
    if wanted.out:
        result.save(wanted.out)
    return int(above > GOAL)


if __name__ == "__main__":
    sys.exit(main())
