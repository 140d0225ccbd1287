"""Which options should a fusion have by default? One changed at a time, on scenes of known truth.

    python benchmarks/fusion_defaults.py --out OUT [--fusion singlepass] [--scenes 4]

Prints the mean over scenes and regions of the distance to the true rendering, and writes
OUT/fusion_defaults.json and OUT/fusion_defaults.png.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import known_truth
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import measure
from locstyle.sheet import contact_sheet

TRIED: tuple[dict[str, object], ...] = (
    {},
    {"guidance": 1.0},
    {"guidance": 5.0},
    {"guidance": 7.5},
    {"attention_share": 0.0, "feature_share": 0.0},
    {"attention_share": 0.25, "feature_share": 0.3},
    {"attention_share": 0.8, "feature_share": 0.8},
    {"attention_share": 0.0, "feature_share": 0.0, "fresh_noise": 0.3},
    {"fresh_noise": 0.3},
)
FIGURES = ("psnr", "colour", "texture", "beyond recolour", "edges as photo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fusion", default="singlepass")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--loras", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    editor = ls.Editor.load(wanted.backbone, device=wanted.device)
    jobs = list(known_truth.jobs(wanted.scenes))
    pictures = [(job.name, Image.fromarray(job.photo)) for job in jobs]
    table, rows = Table("options", *FIGURES), []
    for options in TRIED:
        wanted.options = options
        label = " ".join(f"{key}={value}" for key, value in options.items()) or "the defaults"
        found = []
        for job in jobs:
            result = editor.run(known_truth.edit(job, wanted.fusion, wanted))
            picture = np.asarray(result.image.convert("RGB"))
            pictures.append((label, Image.fromarray(picture)))
            found += figures(job, picture)
        means = {name: mean([one[name] for one in found]) for name in FIGURES}
        rows.append({"options": options, **means})
        table.add_row(label, *(f"{means[name]:.3f}" for name in FIGURES))
    Console(width=120).print(table)
    settings = {key: str(value) for key, value in vars(wanted).items() if key != "options"}
    text = json.dumps({"settings": settings, "rows": rows}, indent=1)
    (wanted.out / "fusion_defaults.json").write_text(text)
    contact_sheet(pictures, wanted.scenes).save(wanted.out / "fusion_defaults.png")


def figures(job: known_truth.Job, picture: np.ndarray) -> list[dict[str, float]]:
    """One region's distances to its truth after another's."""
    return [
        {
            "psnr": measure.psnr(picture, truth, mask),
            "colour": measure.colour_distance(picture, truth, mask),
            "texture": measure.texture_distance(picture, truth, mask),
            "beyond recolour": measure.beyond_recolour(picture, job.photo, truth, mask),
            "edges as photo": measure.edge_agreement(picture, job.photo, mask),
        }
        for mask, truth in zip(job.masks.values(), job.truths, strict=True)
    ]


def mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


if __name__ == "__main__":
    main()
