"""How long until something happens: the first inversion step of an edit, and commands without one.

    python benchmarks/start_up.py [--beside OTHER/bin/python] [--rounds 3] [--json FILE]

Each is a process of its own, from its start to what is waited for; the least of some rounds, since
nothing makes a process faster than it is. The first step is of an edit of a small photo by `mini`
with two regions, inversions not cached. Seconds of the CPU stand beside those of the wall: on a
busy machine they are the ones to compare. `--beside` runs the same in another installation, such as
an older checkout's, in the same table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

FIRST_STEP = """
import os
from contextlib import contextmanager

import locstyle.cli.progress
from locstyle.cli import main

@contextmanager
def stopping():
    yield lambda step: os._exit(0)

locstyle.cli.progress.progress = stopping
main({words!r})
"""
COMMAND = """
from locstyle.cli import main
main({words!r}, standalone_mode=False)
"""
EDIT = ["stylize", "photo.png", "-r", "box:0,0,64,64=neon", "-r", "box:64,0,128,128=swirl"]
WAITED_FOR = {
    "first inversion step": (FIRST_STEP, [*EDIT, "-o", "out.png", "--no-cache", "--no-check"]),
    "locstyle styles": (COMMAND, ["styles"]),
    "locstyle plugins": (COMMAND, ["plugins"]),
    "locstyle segment": (COMMAND, ["segment", "photo.png", "-o", "parts"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another installation's Python")
    parser.add_argument("--only", default=",".join(WAITED_FOR), help="some of them, by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    pythons = {"beside": wanted.beside.absolute()} if wanted.beside else {}
    found: dict[str, tuple[float, float]] = {}
    for name in wanted.only.split(","):
        form, words = WAITED_FOR[name]
        code = form.format(words=words)
        for _ in range(wanted.rounds):  # in turns, so that both meet the machine as it is
            for which, python in {**pythons, "here": Path(sys.executable)}.items():
                key, cost = f"{name}, {which}", timed(python, code)
                found[key] = tuple(map(min, cost, found.get(key, cost)))
    table = Table("from the start of the process to", "seconds", "of the CPU")
    for name, (wall, cpu) in found.items():
        table.add_row(name, f"{wall:.2f}", f"{cpu:.2f}")
    Console().print(table)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1))


def timed(python: Path, code: str) -> tuple[float, float]:
    """Seconds of the wall and of the CPU of one process, in a folder with a small photo."""
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
        cv2.imwrite(str(Path(folder) / "photo.png"), cv2.GaussianBlur(noise, (0, 0), 8))
        before, start = os.times(), time.perf_counter()
        subprocess.run([python, "-P", "-c", code], check=True, cwd=folder, capture_output=True)
        wall, after = time.perf_counter() - start, os.times()
    children = after.children_user + after.children_system
    return wall, children - before.children_user - before.children_system


if __name__ == "__main__":
    main()
