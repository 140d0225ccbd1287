"""Which options should a fusion have by default? One changed at a time, on scenes of known truth.

    python benchmarks/fusion_defaults.py --out OUT [--fusion singlepass] [--scenes 4]
    python benchmarks/fusion_defaults.py --out OUT --fusion magicstyle --tried '{"beta": 3.0}'
    python benchmarks/fusion_defaults.py --out OUT --scenes 2 --regions 1,2,3,4 --size 256

Prints the mean over scenes and regions of the distance to the true rendering, and writes
OUT/FUSION.json, OUT/FUSION.md (the same as a table) and OUT/FUSION.png. The last command takes the
published benchmark's own eight scenes; `--only neon,engraving` leaves their other regions alone.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from locstyle_plugins.bench.baselines import Bench
from locstyle_plugins.bench.cases import Case, world_cases
from locstyle_plugins.bench.methods import edit
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.bench.settings import Settings, read_encoder_options, read_regions
from locstyle_plugins.bench.styles import Styles
from PIL import Image
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle.job.cache import TrajectoryCache
from locstyle.sheet import contact_sheet

# Options of the fusion; "strength" is that of the regions, on LoRAs learned with `scale=0.7`.
_LORA: tuple[dict[str, object], ...] = (
    {},
    {"guidance": 1.0},
    {"guidance": 3.0},
    {"guidance": 3.0, "style_in_negative": True},
    {"strength": 0.7},
    {"strength": 1.43},
    {"strength": 1.43, "guidance": 1.0},
    {"strength": 0.7, "guidance": 3.0},
    {"attention_share": 0.0, "feature_share": 0.0},
    {"attention_share": 0.8, "feature_share": 0.8},
    {"fresh_noise": 0.3},
)
_MIXED: tuple[dict[str, object], ...] = (
    *({"structure": s} for s in (0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)),
    {"guidance": 1.0},
    {"guidance": 3.0},
    {"apart": True},
)
_REFERENCE: tuple[dict[str, object], ...] = (
    {},
    {"beta": 1.0},
    {"beta": 3.0},
    {"beta": 24.0},
    {"form": "blend", "lam": 0.5},
    {"form": "blend"},
    {"gamma": 0.0},
    {"gamma": 0.5},
    {"gamma": 0.75},
    {"temperature": 1.0},
    {"temperature": 1.5},
    {"temperature": 3.0},
    {"adain": False},
    {"layers": "decoder"},
    {"layers": "late"},
    {"stop": 0.7},
    {"start": 0.2},
    {"aligned": False},
    {"preset": "portrait"},
    {"preset": "styleid"},
)
_TOKENS: tuple[dict[str, object], ...] = (
    {},
    {"guidance": 1.0},
    {"guidance": 2.0},
    {"guidance": 3.0},
    {"guidance": 5.0},
    {"strength": 0.5},
    {"strength": 1.5},
    {"attention_share": 0.0, "feature_share": 0.0},
    {"attention_share": 0.8, "feature_share": 0.8},
    {"fresh_noise": 0.3},
    {"mode": "both"},
    {"outside": "zeros"},
)
TRIED = {"singlepass": _MIXED, "diffstyler": _LORA, "magicstyle": _REFERENCE, "deadiff": _TOKENS}
ENCODERS = {"magicstyle": "reference", "deadiff": "qformer"}  # who makes styles; default: lora
FIGURES = ("psnr_truth", "colour_truth", "texture_truth", "beyond_recolour", "closed", "edges")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fusion", default="singlepass", choices=sorted(TRIED))
    parser.add_argument("--encoder", help="who makes the styles; default: the fusion's own kind")
    parser.add_argument("--tried", help="variants to try, as JSON objects one after another")
    parser.add_argument("--scenes", type=int, default=4, help="for each number of regions")
    parser.add_argument("--regions", type=read_regions, default="2")
    parser.add_argument("--size", type=int, default=128, help="of the scenes and of every edit")
    parser.add_argument("--only", default="", help="regions of these styles alone, by comma")
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--styles", type=Path, help="their folder; default: the shipped ones")
    parser.add_argument("--encoder-option", action="append", default=[], metavar="ENCODER:K=V")
    parser.add_argument("--solver", help="default: each fusion's own, as --steps")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    named = ("out", "solver", "steps", "seed", "size", "regions", "backbone", "styles")
    shared = {key: getattr(wanted, key) for key in named}
    options = read_encoder_options(wanted.encoder_option)
    settings = Settings(**shared, shipped=True, encoders=options)
    cache = TrajectoryCache(wanted.out / "inversions")  # no time is taken here
    editor = ls.Editor.load(wanted.backbone, device=wanted.device, cache=cache)
    bench = Bench(editor, settings, lambda _: None)
    variants = TRIED[wanted.fusion] if wanted.tried is None else json.loads(f"[{wanted.tried}]")
    encoder = wanted.encoder or ENCODERS.get(wanted.fusion, "lora")
    cases = list(world_cases(wanted.scenes, wanted.regions, wanted.size))
    if wanted.only:
        cases = [one for case in cases for one in only(case, set(wanted.only.split(",")))]
    rows, pictures = tried(bench, wanted.fusion, encoder, cases, variants)
    table = Table("options", *FIGURES)
    for row in rows:
        table.add_row(label(row["options"]), *(f"{row[name]:.3f}" for name in FIGURES))
    Console(width=120).print(table)
    given = {key: str(value) for key, value in vars(wanted).items()}
    text = json.dumps({"settings": given, "rows": rows}, indent=1)
    (wanted.out / f"{wanted.fusion}.json").write_text(text)
    (wanted.out / f"{wanted.fusion}.md").write_text(markdown(rows))
    contact_sheet(pictures, 2 * len(cases)).save(wanted.out / f"{wanted.fusion}.png")


def tried(
    bench: Bench,
    fusion: str,
    encoder: str,
    cases: Sequence[Case],
    variants: Sequence[Mapping[str, object]],
) -> tuple[list[dict], list[tuple[str, Image.Image]]]:
    """The mean figures of every variant over the regions of all cases, and all pictures."""
    scorers = [Scorer(case) for case in cases]
    styles = Styles(bench.editor, bench.settings, lambda step: None)
    learned = [[styles.get(encoder, one) for one in case.styles] for case in cases]
    pictures = [(case.name, Image.fromarray(case.photo)) for case in cases]
    pictures += [("the truth", Image.fromarray(truth(case))) for case in cases]
    rows = []
    for options in variants:
        found: list[dict[str, float]] = []
        for case, scorer, using in zip(cases, scorers, learned, strict=True):
            image = bench.editor.run(variant(edit(bench, case, fusion, using), options)).image
            pictures.append((label(options), image))
            found += scorer.regions(np.asarray(image.convert("RGB")))
        means = {name: mean([one.get(name, math.nan) for one in found]) for name in FIGURES}
        rows.append({"options": dict(options), **means})
        print(label(options), *(f"{means[name]:.3f}" for name in FIGURES), flush=True)
    return rows, pictures


def only(case: Case, names: set[str]) -> Iterator[Case]:
    """The case with the regions of some styles alone; nothing where it has none."""
    kept = [index for index, style in enumerate(case.styles) if style.name in names]
    if kept:
        lists = {
            name: tuple(one[index] for index in kept)
            for name in ("shown", "masks", "styles", "truths", "redrawn")
            if (one := getattr(case, name)) is not None
        }
        yield replace(case, **lists)


def truth(case: Case) -> np.ndarray:
    """The photo with every region as its style's own renderer draws it."""
    picture = case.photo.copy()
    for mask, rendered in zip(case.masks, case.truths or (), strict=True):
        picture[mask] = rendered[mask]
    return picture


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| options | {' | '.join(FIGURES)} |", "|---|" + "---|" * len(FIGURES)]
    for row in rows:
        figures = " | ".join(f"{row[name]:.3f}" for name in FIGURES)
        lines.append(f"| {label(row['options'])} | {figures} |")
    return "\n".join(lines) + "\n"


def variant(plain: ls.Edit, given: Mapping[str, object]) -> ls.Edit:
    """The edit with other options or a preset of its fusion, and another strength."""
    options = dict(given)
    strength, preset = options.pop("strength", 1.0), options.pop("preset", None)
    regions = tuple(replace(region, strength=strength) for region in plain.regions)
    return replace(
        plain, regions=regions, fusion=ls.Fusing(plain.fusion.name, preset=preset, options=options)
    )


def label(options: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "the defaults"


def mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


if __name__ == "__main__":
    main()
