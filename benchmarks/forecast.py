"""Does an edit take what was foretold? Seconds and memory of a few edits, and of their forecasts.

    python benchmarks/forecast.py [--backbone mini|tiny] [--steps 12] [--only "one box,tiled"]

The photo is scikit-image's `coffee`, 600 × 400. Each edit runs in a process of its own, which
measures the backbone's speed first, in CPU seconds of one thread: what else the machine does counts
neither for the one nor for the other. Memory is the peak of the process beyond what it held before
the edit. On `tiny` styles are random.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

CASES = {
    "one box": (["box:200,100,400,300"], None),
    "two that touch": (["box:100,100,300,300", "box:300,100,500,300"], None),
    "two far apart": (["box:10,10,110,110", "box:480,280,580,380"], None),
    "the whole photo": (["all"], None),
    "in tiles": (["box:100,100,500,300"], 1.0),
}
STYLES = ("swirl", "neon")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", choices=("mini", "tiny"), default="mini")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only", default=",".join(CASES), help="which edits, by name")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # one process's share
    wanted = parser.parse_args()
    if wanted.case:
        print(json.dumps(run(wanted, wanted.case)))
        return
    table = Table("edit", "tiles", "rows", "s told", "s taken", "ratio", "MiB told", "taken")
    for case in wanted.only.split(","):
        row = in_own_process(case)
        seconds = row["told"], row["taken"], row["taken"] / row["told"]
        memory = f"{row['memory_told']:.0f}", f"{row['memory_taken']:.0f}"
        table.add_row(
            case, f"{row['tiles']}", f"{row['rows']}", *(f"{n:.2f}" for n in seconds), *memory
        )
    Console().print(table)


def in_own_process(case: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--case", case]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    last: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return last


def run(wanted: argparse.Namespace, case: str) -> dict[str, float]:
    import skimage.data
    import torch
    from locstyle_plugins.bench.cost import held, measured

    import locstyle as ls
    from locstyle.testing import random_style, tiny_backbone

    time.perf_counter = time.process_time  # what forecasts and reports count by
    torch.set_num_threads(1)
    is_tiny = wanted.backbone == "tiny"
    editor = ls.Editor(tiny_backbone()) if is_tiny else ls.Editor.load("mini", device="cpu")
    speed = ls.Speed.measured(editor.backbone)
    masks, detail = CASES[case]
    regions = tuple(
        ls.Region(mask, random_style(editor.backbone, n), 0.1) if is_tiny
        else ls.Region(mask, STYLES[n])
        for n, mask in enumerate(masks)
    )  # fmt: skip
    asked = "auto" if detail is None else detail * (0.25 if is_tiny else 1)
    edit = ls.Edit(skimage.data.coffee(), regions, steps=wanted.steps, detail=asked)
    job = editor.resolve(edit)
    told = editor.forecast(job, speed=speed)
    before = held(editor.backbone.device)
    with measured(editor.backbone.device) as cost:
        report = editor.run(job).report
    return {
        "tiles": sum(one.tiles for one in told),
        "rows": sum(one.rows + one.inversion_rows for one in told),
        "told": sum(one.seconds or 0 for one in told),
        "taken": sum(report.seconds[phase] for phase in ("invert", "denoise", "decode")),
        "memory_told": max(one.memory or 0 for one in told) / 2**20,
        "memory_taken": cost.memory - before,
    }


if __name__ == "__main__":
    main()
