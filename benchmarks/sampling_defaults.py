"""With which solver, in how many steps, from how fine an inversion should an edit be denoised?

    python benchmarks/sampling_defaults.py --out OUT [--fusion singlepass] [--scenes 2]
    python benchmarks/sampling_defaults.py --out OUT --tried ddim:50:0,dpm++2m:12:1

Runs the published benchmark's scenes, 20 regions of 8 scenes as it stands, with every
SOLVER:STEPS:REFINE, and scores them as it does. Rows count all that the network evaluates,
inverting included; seconds are CPU seconds of a whole edit, styles made; `back` is how near the
photo comes back unstyled by the same solver, in dB to what the autoencoder makes of it. What is
measured is kept in OUT, so that the same command goes on where it was stopped; OUT/FUSION.md has
the table.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.bench.baselines import Bench, encoded
from locstyle_plugins.bench.cases import Case, world_cases
from locstyle_plugins.bench.methods import edit
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.bench.settings import Settings, read_regions
from locstyle_plugins.bench.styles import Styles

import locstyle as ls

ENCODERS = {"magicstyle": "reference", "deadiff": "qformer", "vct": "concept"}  # else lora
TRIED = (
    "ddim:50:0,ddim:50:1,ddim:20:0,ddim:20:1,ddim:12:1,dpm++2m:20:0,dpm++2m:20:1,dpm++2m:14:0,"
    "dpm++2m:14:1,dpm++2m:12:0,dpm++2m:12:1,dpm++2m:12:2,dpm++2m:10:0,dpm++2m:10:1,dpm++2m:10:2,"
    "dpm++2m:8:1,dpm++2m:6:1"
)
FIGURES = ("texture_truth", "colour_truth", "closed", "edges", "psnr_truth")
COSTS = ("rows", "seconds", "back")


@dataclass(frozen=True)
class Tried:
    """One way to denoise."""

    solver: str
    steps: int
    refine: int

    @classmethod
    def read(cls, text: str) -> list[Tried]:
        """Those of a text such as ddim:50:0,dpm++2m:12:1."""
        parts = (one.split(":") for one in text.split(","))
        return [cls(solver, int(steps), int(refine)) for solver, steps, refine in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fusion", default="singlepass")
    parser.add_argument("--tried", type=Tried.read, default=TRIED)
    parser.add_argument("--scenes", type=int, default=2, help="for each number of regions")
    parser.add_argument("--regions", type=read_regions, default="1,2,3,4")
    parser.add_argument("--styles", type=Path, help="a folder of ready-made styles")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(out=wanted.out, shipped=True, styles=wanted.styles)
    bench = Bench(ls.Editor.load(settings.backbone), settings, lambda _: None)
    names: list[str] = []
    kept = Kept(wanted.out / f"{wanted.fusion}.jsonl")
    for case in world_cases(wanted.scenes, wanted.regions, settings.size):
        names.append(case.name)
        measure(bench, case, wanted.fusion, wanted.tried, kept)
    table = markdown(kept, wanted.tried, names)
    (wanted.out / f"{wanted.fusion}.md").write_text(table)
    print(table)


@dataclass(eq=False)
class Kept:
    """What was measured so far: one line of JSON for every scene and way."""

    path: Path

    def rows(self) -> list[dict[str, Any]]:
        text = self.path.read_text() if self.path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def add(self, row: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def measure(bench: Bench, case: Case, fusion: str, tried: Sequence[Tried], kept: Kept) -> None:
    """Every way on one case that was not measured before."""
    done = {(row["case"], *row["tried"].values()) for row in kept.rows()}
    missing = [one for one in tried if (case.name, one.solver, one.steps, one.refine) not in done]
    if not missing:
        return
    scorer = Scorer(case)
    styles = Styles(bench.editor, bench.settings, lambda _: None)
    using = [styles.get(ENCODERS.get(fusion, "lora"), one) for one in case.styles]
    plain = edit(bench, case, fusion, using)
    bench.editor.run(replace(plain, steps=1))  # nobody is charged with what happens once
    for one in missing:
        how = {"solver": one.solver, "steps": one.steps, "inversion_refine": one.refine}
        start = time.process_time()
        result = bench.editor.run(replace(plain, **how))
        seconds = time.process_time() - start
        report = result.report
        regions = scorer.regions(np.asarray(result.image.convert("RGB")))
        row = {"rows": report.rows + report.inversion_rows, "seconds": seconds}
        row |= {"back": back(bench, case, fusion, one)}
        kept.add({"case": case.name, "tried": asdict(one), **row, "regions": regions})
        print(case.name, *asdict(one).values(), json.dumps(row), flush=True)


@torch.inference_mode()
def back(bench: Bench, case: Case, fusion: str, tried: Tried) -> float:
    """PSNR in dB of the photo inverted and denoised back, to the photo through the autoencoder."""
    backbone = bench.editor.backbone
    schedule, empty = backbone.schedule(tried.steps), backbone.text("")
    latent = encoded(bench, case.photo)
    how = {"aligned": bench.editor.host.fusion(fusion).inversion.aligned, "refine": tried.refine}
    content = ls.invert(backbone, latent, schedule, text=empty, **how)
    plan = ls.Plan((ls.Branch("x", empty),), (), lambda seen, call: seen["x"])
    start, solver = content.at(schedule.noisiest), ls.SOLVERS[tried.solver]
    came = ls.denoise(backbone, plan, schedule, start, solver=solver).latent
    goal, got = (backbone.decode(x)[0].permute(1, 2, 0).numpy() for x in (latent, came))
    return float(ls.measure.psnr(got, goal))


def markdown(kept: Kept, tried: Sequence[Tried], cases: Sequence[str]) -> str:
    """Means over all regions, and of costs over scenes, as the benchmark's tables have them."""
    titles = ("solver", "steps", "refine", *COSTS, *FIGURES)
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for one in tried:
        found = [row for row in kept.rows() if row["case"] in cases]
        rows = [row for row in found if row["tried"] == asdict(one)]
        cells = [f"{one.solver}", f"{one.steps}", f"{one.refine}", *_cells(rows)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for name, digits in zip(COSTS, (0, 1, 1), strict=True):
        yield f"{_mean([row[name] for row in rows]):.{digits}f}"
    for name in FIGURES:
        yield f"{_mean([one[name] for row in rows for one in row['regions'] if name in one]):.3f}"


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


if __name__ == "__main__":
    main()
