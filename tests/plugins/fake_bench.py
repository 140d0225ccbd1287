"""A benchmark run that never happened: made-up scores, pictures that cost nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from locstyle_plugins.bench.cases import slug
from locstyle_plugins.bench.results import (
    FIGURES,
    CaseFacts,
    Figure,
    Kind,
    RegionFacts,
    Results,
    Score,
)
from PIL import Image

METHODS: dict[str, Kind] = {
    "input": "baseline",
    "recolour": "baseline",
    "img2img paste": "baseline",
    "adain paste": "baseline",
    "diffstyler + lora": "edit",
    "singlepass + lora": "edit",
    "oracle": "ceiling",
    "redrawn": "ceiling",
}
STYLES = ("mosaic", "risograph", "swirl", "neon", "linocut")
CAPTION = "two <b>houses</b> & a tree"
LIKENESS = Figure("metric:likeness", "likeness", "", "higher", 2, "region", "A made-up one.")


def fake_results(cases: int = 3, *, has_truth: bool = True, seed: int = 0) -> Results:
    """Scores drawn from the seed around a quality of each method; no texture in one region."""
    draw = np.random.default_rng(seed)
    names = [n for n, kind in METHODS.items() if has_truth or kind != "ceiling"]
    found = [
        CaseFacts(
            f"scene-{2000 + number}",
            CAPTION,
            tuple(
                RegionFacts(f"house {r}", STYLES[(number + r) % len(STYLES)], 0.1 + 0.1 * r)
                for r in range(1 + number % 3)
            ),
        )
        for number in range(cases)
    ]
    scores = []
    for case in found:
        for rank, name in enumerate(names):
            for region in range(len(case.regions)):
                keys = [f.key for f in (*FIGURES, LIKENESS) if f.of == "region"]
                scores.append(Score(case.name, name, region, _figures(keys, rank, draw, has_truth)))
            keys = [f.key for f in FIGURES if f.of == "edit"]
            if METHODS[name] == "edit":
                scores.append(Score(case.name, name, None, _figures(keys, rank, draw, has_truth)))
        gate = {"autoencoder_psnr": 29 + draw.normal(), "reconstruction_psnr": 28 + draw.normal()}
        gate["gate_gap"] = gate["autoencoder_psnr"] - gate["reconstruction_psnr"]
        scores.append(Score(case.name, "gate", None, gate))
    return Results(
        title="mini on its paired world",
        settings={"seed": 0, "scenes": cases, "steps": 50, "fusions": ["diffstyler", "singlepass"]},
        methods={name: METHODS[name] for name in names},
        cases=found,
        scores=scores,
        has_truth=has_truth,
        extra_figures=[LIKENESS],
        notes=["ready-made styles: none of this name"],
    )


def _figures(
    keys: list[str], rank: int, draw: np.random.Generator, has_truth: bool
) -> dict[str, float]:
    scale = {"outside_identical": 0.0, "outside_psnr": 40.0, "rows": 200.0, "inversion_rows": 50.0}
    scale |= {"seconds": 9.0, "memory": 800.0, "setup_seconds": 70.0, "psnr_truth": 17.0}
    figures = {}
    for key in keys:
        if key.endswith("truth") and not has_truth:
            continue
        if key in ("closed", "beyond_recolour") and draw.random() < 0.1:
            continue  # too small to have a texture
        good = 0.1 * rank + float(draw.normal(0, 0.1))
        figures[key] = 1.0 if key == "outside_identical" else scale.get(key, 1.0) * (0.4 + good)
    return figures


def draw_pictures(results: Results, out: Path, side: int = 128) -> Path:
    """Pictures where a run puts them: scenes of mini's world, the methods as tints of them."""
    from locstyle_plugins.world import HELD_OUT_STYLES, World

    for number, case in enumerate(results.cases):
        folder = out / "pictures" / slug(case.name)
        folder.mkdir(parents=True, exist_ok=True)
        scene = World(1, side).scene(number)
        truth = scene.render(HELD_OUT_STYLES[number % len(HELD_OUT_STYLES)])
        pictures = {"photo": scene.photo, "regions": scene.photo // 2 + 60}
        if results.has_truth:
            pictures["truth"] = truth
        for region in range(len(case.regions)):
            pictures[f"style-{region}"] = truth[::-1]
        for rank, name in enumerate(results.methods):
            mixed = scene.photo * (1 - rank / 8) + truth * (rank / 8)
            pictures[slug(name)] = mixed.astype(np.uint8)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(folder / f"{name}.png")
    return out
