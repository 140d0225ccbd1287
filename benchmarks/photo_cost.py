"""What does an edit of 6000 x 4000 pixels with eight regions spend outside the network?

    python benchmarks/photo_cost.py [--beside OTHER/bin/python] [--json FILE]

One edit of `mini` in a process of its own: seconds of `Editor.run` less those in the network,
autoencoder and text encoder, and the most memory above what was held once the model was loaded and
an edit of a small photo had been run. Reading the photo and writing the result are not in it. Two
sets of regions: eight boxes; and what people really give, among it a soft mask of the whole photo,
a range of light, refinements and `rest`. `--beside` runs the same in another installation, such as
an older checkout's, and says whether the results are equal, pixel by pixel, in the same table; on a
busy machine compare seconds of the CPU. Ends with status 1 above the goals.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any  # JSON, and a backbone's methods

import numpy as np
from rich.console import Console
from rich.table import Table

SECONDS, MEGABYTES = 3.0, 1000.0  # the goals
MB = 2**20 / 1e6
NETWORK = ("encode", "decode", "text", "predict")
FIGURES = {
    "seconds": "seconds",
    "cpu": "of the CPU",
    "above": "MB above the model",
    "network": "seconds in the networks",
}
STYLES = ("swirl", "neon", "engraving", "embroidery")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another installation's Python")
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)  # one process's share: regions, folder
    wanted = parser.parse_args()
    if wanted.child:
        name, folder = wanted.child.split(":", 1)
        print(json.dumps(run(name, Path(folder))))
        return 0
    pythons = {"beside": wanted.beside} if wanted.beside else {}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), wanted.width, wanted.height)
        for name in REGIONS:
            for which, python in {**pythons, "here": sys.executable}.items():
                rows[f"{name}, {which}"] = in_own_process(name, folder, str(python))
    report(rows, f"{wanted.width} × {wanted.height} pixels, 8 regions, outside the network")
    if wanted.json:
        wanted.json.write_text(json.dumps(rows, indent=1))
    here = [row for name, row in rows.items() if name.endswith("here")]
    return int(any(r["seconds"] > SECONDS or r["above"] > MEGABYTES for r in here))


def draw(folder: Path, width: int, height: int) -> None:
    """A photo of soft colours and some noise, a small one, and a mask that fades over the whole."""
    import cv2

    rng = np.random.default_rng(0)
    ground = rng.integers(20, 235, (9, 13, 3), np.uint8)
    pixels = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = cv2.add(pixels, rng.integers(0, 12, pixels.shape, np.uint8))
    fading = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, 0)
    for name, picture in {"photo": pixels, "soft": fading, "small": pixels[:96, :128]}.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def in_own_process(name: str, folder: str, python: str) -> dict[str, Any]:
    command = [python, __file__, "--child", f"{name}:{folder}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def run(name: str, folder: Path) -> dict[str, Any]:
    """One edit, its cost and what came out."""
    import torch
    from locstyle_plugins.bench.cost import held, measured

    import locstyle as ls

    cpu, editor = torch.device("cpu"), ls.Editor.load("mini", device="cpu")
    small = ls.Region("all", STYLES[0])
    editor.run(ls.Edit(ls.Photo.open(folder / "small.png"), [small], steps=2))
    photo = ls.Photo.open(folder / "photo.png")
    masks = REGIONS[name](*photo.size, folder)
    regions = [ls.Region(mask, STYLES[index % 4]) for index, mask in enumerate(masks)]
    edit = ls.Edit(photo, regions, steps=2, size=128)  # one frame, as older ones have it
    before, spent, begun = held(cpu), [0.0, 0.0], time.process_time()
    with timed(editor.backbone, spent), measured(cpu) as cost:
        result = editor.run(edit)
    return {
        "seconds": cost.seconds - spent[0],
        "cpu": time.process_time() - begun - spent[1],
        "network": spent[0],
        "above": (cost.memory - before) * MB,
        "pixels": hashlib.sha256(result.photo.pixels.tobytes()).hexdigest(),
        "digests": {k: v for k, v in result.edit.digests.items() if k.endswith("mask")},
        "report": [result.report.outside_identical, result.report.inside_change],
    }


@contextmanager
def timed(backbone: Any, spent: list[float]) -> Iterator[None]:
    """Adds the seconds of wall and CPU inside the backbone's own networks to `spent`."""

    def clocked(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return method(*args, **named)
            finally:
                spent[0] += time.perf_counter() - wall
                spent[1] += time.process_time() - cpu

        return call

    for name in NETWORK:
        setattr(backbone, name, clocked(getattr(backbone, name)))
    try:
        yield
    finally:
        for name in NETWORK:
            delattr(backbone, name)


def boxes(height: int, width: int, folder: Path) -> list[str]:
    """Eight boxes, of a hundredth to a sixth of the photo; some touch and two overlap."""
    shares = [
        (0.00, 0.00, 0.50, 0.33),
        (0.50, 0.00, 1.00, 0.20),
        (0.40, 0.25, 0.70, 0.45),
        (0.05, 0.40, 0.30, 0.95),
        (0.35, 0.55, 0.45, 0.65),
        (0.50, 0.50, 0.75, 0.80),
        (0.75, 0.50, 0.98, 0.80),
        (0.60, 0.88, 0.70, 0.98),
    ]
    sides = (width, height, width, height)
    return [
        "box:" + ",".join(str(round(s * side)) for s, side in zip(share, sides, strict=True))
        for share in shares
    ]


def mixed(height: int, width: int, folder: Path) -> list[str]:
    """Seven ways to say a region, and all that is left."""
    first, second, third, *_ = boxes(height, width, folder)
    return [
        str(folder / "soft.png"),
        "light:0.6..1",
        f"{first}|feather:40",
        f"{second} + {third}",
        "color:212,160~30",
        "all - light:0.3..1",
        boxes(height, width, folder)[5],
        "rest",
    ]


REGIONS: dict[str, Callable[[int, int, Path], list[str]]] = {"boxes": boxes, "mixed": mixed}


def report(rows: dict[str, dict[str, Any]], title: str) -> None:
    table = Table(
        "regions", "seconds", "MB above the model", "seconds in it", "result", title=title
    )
    for name, row in rows.items():
        beside = rows.get(name.replace("here", "beside"), row)
        same = beside["pixels"] == row["pixels"] and beside["digests"] == row["digests"]
        cells = (f"{row[key]:,.4g}" for key in FIGURES)
        table.add_row(name, *cells, "" if beside is row else "equal" if same else "differs")
    Console(width=100).print(table)


if __name__ == "__main__":
    sys.exit(main())
