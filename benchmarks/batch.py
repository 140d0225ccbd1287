"""What a batch takes beside a shell loop of `locstyle stylize`, and on Ray beside processes.

    python benchmarks/batch.py [--photos 10] [--ways loop,batch,ray] [--side 256] [--quick]

The same tasks by `mini`, two styles on each of some photos, one thread and one worker: as a loop of
commands, by `locstyle batch`, and by it on a Ray cluster of its own. Seconds of the CPU, of all
processes together, stand beside those of the wall: on a busy machine they are the ones to compare.
Ray's processes are nobody's children, so of that way only the wall's count.
Pictures of all ways are compared bit by bit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

STYLES = ("swirl", "neon")
REGION = "box:40,40,200,200"
RECIPE = f"""
locstyle: 2
regions:
  - {{mask: "{REGION}", style: swirl}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=10)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="previews: six steps at 3/4 size")
    parser.add_argument("--ways", default="loop,batch,ray")
    wanted = parser.parse_args()
    tasks = wanted.photos * len(STYLES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, wanted)
        for way in wanted.ways.split(","):
            wall, cpu = timed(folder, way, wanted.quick)
            seen = "" if way == "ray" else f", {cpu:.0f} s of the CPU"
            print(f"{way}: {tasks} tasks, {wall:.0f} s{seen}", flush=True)
        print(f"pictures that differ between ways: {differing(folder)}")


def make(folder: Path, wanted: argparse.Namespace) -> None:
    (folder / "photos").mkdir()
    side = wanted.side
    for number in range(wanted.photos):
        noise = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 12), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / "photos" / f"{number:02}.png"), smooth)
    (folder / "recipe.yaml").write_text(RECIPE + ("quick: true\n" if wanted.quick else ""))


def timed(folder: Path, way: str, is_quick: bool) -> tuple[float, float]:
    """Seconds of the wall and of the CPU."""
    (folder / way).mkdir()
    before, since = os.times(), time.monotonic()
    for command in commands(folder, way, is_quick):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCSTYLE_CACHE": str(folder / "c")}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.monotonic() - since, os.times()
    spent = after.children_user + after.children_system
    return wall, spent - before.children_user - before.children_system


def commands(folder: Path, way: str, is_quick: bool) -> list[list[str]]:
    ours = [sys.executable, "-m", "locstyle"]
    if way != "loop":
        words = ["photos", "--recipe", "recipe.yaml", "-o", f"{way}/{{stem}}-{{style}}.png"]
        words += ["--matrix", f"style={','.join(STYLES)}", "--jobs", "1"]
        return [[*ours, "batch", *words, *(["--launcher", "ray"] if way == "ray" else [])]]
    quick = ["--quick"] if is_quick else []
    return [
        [
            *ours,
            "stylize",
            *quick,
            str(photo),
            "-r",
            f"{REGION}={style}",
            "-o",
            f"loop/{photo.stem}-{style}.png",
        ]
        for photo in sorted((folder / "photos").iterdir())
        for style in STYLES
    ]


def differing(folder: Path) -> int:
    """Pictures that not all ways made alike, of those that more than one made."""
    found: dict[str, set[bytes]] = {}
    for path in folder.glob("*/*-*.png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        found.setdefault(path.name, set()).add(pixels.tobytes())
    return sum(len(kinds) > 1 for kinds in found.values())


if __name__ == "__main__":
    main()
