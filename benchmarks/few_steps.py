"""What do few steps cost an edit, plain and under an accelerator?

    python benchmarks/few_steps.py --out OUT [--accelerator FILE] [--scenes 4]

The published benchmark's scenes of two regions at 256 pixels, edited by `singlepass` with the
shipped LoRAs and scored as it does; means over regions. "trailing" is the accelerator's
spacing alone, its updates all 0, so that what the updates do can be told from that. `near` is the
PSNR in dB to the edit at its defaults, rows are all that the network evaluates, seconds are CPU
seconds. What is measured is kept in OUT, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.bench.baselines import Bench
from locstyle_plugins.bench.cases import Case, world_cases
from locstyle_plugins.bench.methods import edit
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.bench.settings import Settings
from locstyle_plugins.bench.styles import Styles

import locstyle as ls

SIZE = 256
FULL = "the defaults"
FIGURES = ("texture_truth", "colour_truth", "edges", "psnr_truth")
COSTS = ("rows", "seconds", "near")
Ways = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--accelerator", type=Path, help="of locstyle mini distil")
    parser.add_argument("--scenes", type=int, default=4)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(out=wanted.out, shipped=True, size=SIZE)
    bench = Bench(ls.Editor.load(settings.backbone), settings, lambda _: None)
    found, chosen = wanted.out / "few_steps.jsonl", ways(wanted.accelerator)
    for case in world_cases(wanted.scenes, (2,), SIZE):
        measure(bench, case, chosen, found)
    print(markdown(_rows(found), chosen))


def ways(accelerator: Path | None) -> Ways:
    """What is tried, by its name."""
    plain: dict[str, dict[str, Any]] = {FULL: {}}
    plain |= {f"dpm++2m, {steps} steps": {"steps": steps} for steps in (8, 6, 4)}
    if accelerator is None:
        return plain
    style, _ = ls.read_style(accelerator)
    still = {name: replace(d, up=torch.zeros_like(d.up)) for name, d in style.deltas.items()}
    spaced = replace(style, deltas=still)
    steps = style.meta["steps"]
    return plain | {
        f"dpm++2m, {steps} trailing": {"accelerator": spaced, "solver": "dpm++2m"},
        f"ddim, {steps} trailing": {"accelerator": spaced},
        f"accelerator, {steps} steps": {"accelerator": style},
        "the same, guidance off": {"accelerator": style.with_meta(guidance="off")},
    }


def measure(bench: Bench, case: Case, chosen: Ways, found: Path) -> None:
    """Every way on one case that was not measured before; the defaults go first."""
    done = {row["way"] for row in _rows(found) if row["case"] == case.name}
    if done >= set(chosen):
        return
    scorer = Scorer(case)
    styles = Styles(bench.editor, bench.settings, lambda _: None)
    using = [styles.get("lora", one) for one in case.styles]
    plain = edit(bench, case, "singlepass", using)
    full: np.ndarray[Any, Any] | None = None
    for way, how in chosen.items():
        if way in done and way != FULL:
            continue
        start = time.process_time()
        result = bench.editor.run(replace(plain, **how))
        seconds = time.process_time() - start
        picture = np.asarray(result.image.convert("RGB"))
        result.image.save(found.parent / f"{case.name}-{way.replace(' ', '-')}.png")
        full = picture if full is None else full
        report = result.report
        row = {"case": case.name, "way": way, "rows": report.rows + report.inversion_rows}
        near = None if way == FULL else float(ls.measure.psnr(picture / 255, full / 255))
        row |= {"seconds": seconds, "near": near, "regions": scorer.regions(picture)}
        if way not in done:
            with found.open("a") as file:
                file.write(json.dumps(row) + "\n")


def markdown(rows: Sequence[Mapping[str, Any]], chosen: Ways) -> str:
    """Means over regions, and of costs over scenes."""
    lines = [f"| way | {' | '.join((*COSTS, *FIGURES))} |", "|---" * 8 + "|"]
    for way in chosen:
        mine = [row for row in rows if row["way"] == way]
        costs = [_mean([row[name] for row in mine if row[name] is not None]) for name in COSTS]
        regions = [one for row in mine for one in row["regions"]]
        figures = [_mean([one[name] for one in regions if name in one]) for name in FIGURES]
        cells = [f"{costs[0]:.0f}", f"{costs[1]:.1f}", f"{costs[2]:.1f}"]
        cells += [f"{value:.3f}" for value in figures]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rows(found: Path) -> list[dict[str, Any]]:
    text = found.read_text() if found.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


if __name__ == "__main__":
    main()
