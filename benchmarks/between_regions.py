"""What do adjacent regions do to each other? Leak and seam, by pair of kinds and by cause.

    python benchmarks/between_regions.py --out OUT [--styles FOLDER] [--only pairs]
    python benchmarks/between_regions.py --out OUT --only causes --options '{"apart": false}'

The sky of a held-out scene gets one style, all else another, by `singlepass`: both at once, and
each alone. What a region's pixels do when the other is styled is leak. OUT keeps every picture, so
a run that was stopped goes on; OUT/pairs and OUT/causes-PAIR (.md, .json, .png) are the tables.

Causes are told apart by a switch each: `apart` (self-attention), `structure` (the photo's
attention), the feather, GroupNorm's statistics (`norm_statistics.py`), and the decoder, which gets
one region's latent beside the other's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from adjacent import ENCODERS, Runs, Variant, sky_cases
from locstyle_plugins.bench.baselines import Bench
from locstyle_plugins.bench.cases import Case, Picture
from locstyle_plugins.bench.settings import Settings, read_encoder_options
from locstyle_plugins.bench.styles import Styles
from PIL import Image

import locstyle as ls
from locstyle.job.cache import TrajectoryCache
from locstyle.sheet import contact_sheet

VARIANTS = (
    Variant(),
    Variant("self-attention as one", {"apart": False}),
    Variant("self-attention apart", {"apart": True}),
    Variant("GroupNorm of each region", statistics="own"),
    Variant("GroupNorm of the photo", statistics="photo"),
    Variant("apart, GroupNorm of each region", {"apart": True}, statistics="own"),
    *(Variant(f"structure {s}", {"structure": s}) for s in (0.3, 0.7, 1.0)),
    Variant("feather 0", feather=0.0),
    Variant("feather 6", feather=6.0),
)
FIGURES = {
    "near": "change near",
    "far": "change far",
    "decoder_near": "decoder, near",
    "decoder_far": "decoder, far",
    "own": "own change",
    "leak_texture": "texture leak",
    "leak_colour": "colour leak",
    "seam": "seam",
    "seam_pasted": "seam, pasted",
    "texture": "texture",
    "colour": "colour",
    "edges": "edges",
}


LEVELS = ("near", "far", "decoder_near", "decoder_far", "own")  # of 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--styles", type=Path, help="a folder with learned ones, concept-NAME.safetensors"
    )
    parser.add_argument("--weights", help="of the encoder qformer; default: the shipped ones")
    parser.add_argument("--only", choices=("pairs", "causes"))
    parser.add_argument("--pairs", default="deltas-reference,words-tokens", help="for the causes")
    parser.add_argument(
        "--options", type=json.loads, default={}, help="of singlepass, as JSON; norms together"
    )
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    encoders = read_encoder_options([f"qformer:weights={wanted.weights}"] if wanted.weights else [])
    shared = {key: getattr(wanted, key) for key in ("out", "steps", "backbone", "styles")}
    settings = Settings(**shared, shipped=True, encoders=encoders)
    cache = TrajectoryCache(wanted.out / "inversions")
    editor = ls.Editor.load(wanted.backbone, device=wanted.device, cache=cache)
    bench, styles = Bench(editor, settings, ignored), Styles(editor, settings, ignored)
    runs = Runs(bench, styles, {"norms_apart": False, **wanted.options})
    cases = list(sky_cases(wanted.scenes, settings.size))
    if wanted.only != "causes":
        write(wanted.out / "pairs", list(pair_rows(runs, cases)))
    for pair in wanted.pairs.split(",") if wanted.only != "pairs" else ():
        write(wanted.out / f"causes-{pair}", list(cause_rows(runs, cases, pair.split("-"))))


def ignored(step: ls.Step) -> None:
    """Progress is a line per edit."""


class Row(NamedTuple):
    """A line of a table, and the pictures it is of."""

    name: str
    figures: Mapping[str, float]
    pictures: Sequence[Picture]


def pair_rows(runs: Runs, cases: Sequence[Case]) -> Iterator[Row]:
    """Of every pair of kinds, what the first suffers from the second: the mean of scenes, each kind
    once in either place."""
    for mine, other in product(ENCODERS, repeat=2):
        figures, pictures = [], []
        for case in cases:
            figures.append(runs.figures(case, (mine, other), Variant())[0])
            figures.append(runs.figures(case, (other, mine), Variant())[1])
            pictures.append(runs.get(case, (mine, other), Variant()).picture)
        yield Row(f"{mine}, beside {other}", means(figures), pictures)


def cause_rows(runs: Runs, cases: Sequence[Case], kinds: Sequence[str]) -> Iterator[Row]:
    """Of every variant, the mean of both regions; the kinds change places from scene to scene."""
    for variant in VARIANTS:
        figures, pictures = [], []
        for index, case in enumerate(cases):
            placed = kinds if index % 2 == 0 else kinds[::-1]
            figures += runs.figures(case, placed, variant)
            pictures.append(runs.get(case, placed, variant).picture)
        yield Row(variant.name, means(figures), pictures)


def means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of what is known: where nothing is, nan."""
    found = {
        name: [f[name] for f in figures if np.isfinite(f.get(name, np.nan))] for name in FIGURES
    }
    return {name: float(np.mean(all_)) if all_ else np.nan for name, all_ in found.items()}


def write(path: Path, rows: Sequence[Row]) -> None:
    """The table as Markdown and JSON, and a sheet of the pictures."""
    lines = [f"| | {' | '.join(FIGURES.values())} |", "|---" * (len(FIGURES) + 1) + "|"]
    for row in rows:
        cells = (f"{row.figures[key]:.{digits(key)}f}" for key in FIGURES)
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    path.with_suffix(".json").write_text(json.dumps({r.name: r.figures for r in rows}, indent=1))
    pictures = [(row.name, Image.fromarray(one)) for row in rows for one in row.pictures]
    contact_sheet(pictures, 4 * len(rows[0].pictures)).save(path.with_suffix(".png"))
    print("\n".join(lines))


def digits(figure: str) -> int:
    return 1 if figure in LEVELS else 2 if "seam" in figure else 3


if __name__ == "__main__":
    main()
