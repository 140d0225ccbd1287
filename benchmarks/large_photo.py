"""Does a photo of 6000 x 4000 pixels with hundreds of masks stay under 2 GB beyond the model?

    python benchmarks/large_photo.py [--only classic,fastsam] [--grid 32]

Every segmenter finds everything in a drawn photo, in a process of its own, and writes the list
that `locstyle segment` writes; then the list is read back and one region's mask is built. Memory
is the process's, on the CPU: held with the model loaded, and the most above that. Ends with status
1 if any needs more than 2 GB.

SAM has random weights, whose masks are noise. So every mask is a disc around its point instead:
the model runs in full, and what comes out has the shape of objects. FastSAM's small weights are
made to answer with all they have, since they know other pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON, and two untyped libraries

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

GOAL = 2000  # MB beyond the model
MB = 2**20 / 1e6
SHAPES = 700
FIGURES = {
    "masks": "masks",
    "held": "MB with the model",
    "above": "MB above it, at most",
    "seconds": "seconds",
    "file": "MB of list",
    "back": "MB above: list to mask",
    "reading": "seconds",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SEGMENTERS), help="some of them, by commas")
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--grid", type=int, default=32, help="SAM's points per side")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)  # one process's share: name, photo
    wanted = parser.parse_args()
    if wanted.child:
        name, photo = wanted.child.split(":", 1)
        print(json.dumps(run(name, Path(photo), wanted.grid)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        draw(photo, wanted.width, wanted.height)
        found = {name: in_own_process(name, photo, wanted.grid) for name in wanted.only.split(",")}
    report(found, f"{wanted.width} × {wanted.height} pixels, everything")
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1))
    return int(any(row["above"] > GOAL for row in found.values()))


def draw(path: Path, width: int, height: int) -> None:
    """Hundreds of discs, bars and triangles of many sizes on a soft ground, with some noise."""
    import cv2

    rng = np.random.default_rng(0)
    ground = rng.integers(60, 200, (5, 7, 3), np.uint8)
    pixels = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    for size in sorted(rng.uniform(0.01, 0.08, SHAPES) * width, reverse=True):
        centre = rng.uniform((0, 0), (width, height))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(3) / 3
        corners = centre + size / 2 * np.stack([np.cos(turns), np.sin(turns)], 1)
        if rng.random() < 0.5:
            cv2.circle(pixels, corners[0].astype(int).tolist(), int(size / 2), colour, -1)
        else:
            cv2.fillPoly(pixels, [corners.astype(np.int32)], colour)
    pixels = cv2.add(pixels, rng.integers(0, 12, pixels.shape, np.uint8))
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def in_own_process(name: str, photo: Path, grid: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", f"{name}:{photo}", "--grid", str(grid)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return last


def run(name: str, path: Path, grid: int) -> dict[str, float]:
    """Everything in the photo; before that, a box in a small picture makes models load."""
    import torch
    from locstyle_plugins.bench.cost import held, measured
    from PIL import Image

    import locstyle as ls
    from locstyle.segments.file import read_segments, write_segments
    from locstyle.testing import two_objects

    cpu = torch.device("cpu")
    segmenter = SEGMENTERS[name](grid)
    if not name.startswith("sam"):  # whose model is made above
        picture, boxes = two_objects()
        segmenter.segment(picture, ls.Prompt(boxes=boxes[:1]))
    before = held(cpu)
    with measured(cpu) as finding:
        photo = ls.Photo.open(path)
        segments = segmenter.segment(Image.fromarray(photo.pixels), ls.Prompt())
        write_segments(path.with_suffix(".json"), segments, photo, {"name": name})
    found, size = len(segments), photo.size
    del photo, segments
    between = held(cpu)
    with measured(cpu) as reading:
        segments = read_segments(path.with_suffix(".json"), size)
        assert 0 < segments[len(segments) // 2].mask.area < 1
    return {
        "masks": found,
        "held": before * MB,
        "above": (finding.memory - before) * MB,
        "seconds": finding.seconds,
        "file": path.with_suffix(".json").stat().st_size / 1e6,
        "back": (reading.memory - between) * MB,
        "reading": reading.seconds,
    }


def installed(name: str, **options: object) -> Callable[[int], Any]:
    def make(grid: int) -> Any:
        import locstyle as ls

        return ls.default_host().segmenter(name, options)

    return make


def random_sam(kind: str) -> Callable[[int], Any]:
    """SAM with random weights: `vit_b`, `vit_h` of segment-anything, or a model of transformers."""

    def make(grid: int) -> Any:
        import torch
        from locstyle_plugins.sam import Sam
        from locstyle_plugins.sam.models import Hub, Original

        torch.manual_seed(0)
        options = Sam.Options(grid=grid)
        if kind.startswith("vit"):
            from segment_anything import sam_model_registry

            return Sam(options, Discs(Original(sam_model_registry[kind]().requires_grad_(False))))
        import transformers

        config = getattr(transformers, f"{kind}Config")()
        model = getattr(transformers, f"{kind}Model")(config).eval().requires_grad_(False)
        return Sam(options, Discs(Hub(model, getattr(transformers, f"{kind}ImageProcessor")())))

    return make


@dataclass
class Discs:
    """A model whose masks are discs around its points, of three sizes each, once it has run."""

    model: Any

    def encode(self, image: Image) -> Any:
        return self.model.encode(image)

    def decode(self, seen: Any, points: Any, *prompt: Any, several: bool) -> tuple[Tensor, Tensor]:
        import torch

        low, scores = self.model.decode(seen, points, *prompt, several=several)
        height, width = low.shape[-2:]
        x, y = (points[:, :1] * width / seen.frame.side)[..., None, None].unbind(2)
        away = torch.hypot(torch.arange(width) - x, torch.arange(height)[:, None] - y)
        widths = (3 + (7 * x + 13 * y) % 11) * torch.tensor([0.4, 1, 2.5])[
            : low.shape[1], None, None
        ]
        return 50 * (widths - away) + 1e-9 * low, 0.9 + 1e-9 * scores


def report(found: dict[str, dict[str, float]], title: str) -> None:
    table = Table("segmenter", *FIGURES.values(), title=title)
    for name, row in found.items():
        table.add_row(name, *(f"{row[key]:,.4g}" for key in FIGURES))
    Console(width=120).print(table)


SEGMENTERS: dict[str, Callable[[int], Any]] = {
    "classic": installed("classic"),
    "fastsam": installed("fastsam", confidence=1e-3, overlap=0.9),
    "sam vit_b": random_sam("vit_b"),
    "sam Sam": random_sam("Sam"),
    "sam Sam2": random_sam("Sam2"),
    "sam vit_h": random_sam("vit_h"),
}

if __name__ == "__main__":
    sys.exit(main())
