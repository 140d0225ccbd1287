"""Which options should `concept` and `vct` have by default? One changed at a time, on known truth.

    python benchmarks/concept_defaults.py --out OUT [--styles "stained glass"] [--only vct]

Learns each style from its one picture with every variant of the encoder, measures the noise loss
on the style's picture and on other scenes in the style (over that of the words it started as), and
edits held-out scenes; then edits with every variant of the fusion. Prints two tables and writes
OUT/concept_defaults.json and OUT/*.png. Learned styles are kept in OUT and not learned again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from locstyle_plugins.bench.cases import Case, slug, style_picture, world_cases
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.world import HELD_OUT_WORLD, World
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

import locstyle as ls
from locstyle.engine.training import noise_loss
from locstyle.sheet import contact_sheet

ENCODER: tuple[dict[str, object], ...] = (
    {},
    {"lr": 2e-2},
    {"l1": 0.1},
    {"words": 8},
    {"crops": 0},
    {"lr": 1e-3},
    {"l1": 1.0},
    {"words": 1},
    {"init": "painting"},
    {"preset": "reference"},
)
FUSION: tuple[dict[str, object], ...] = (
    {},
    {"guidance": 2.0},
    {"guidance": 7.5},
    {"guidance": 7.5, "self_share": 0.5},
    {"guidance": 7.5, "self_share": 0.0},
    {"guidance": 7.5, "cross_share": 0.0},
    {"guidance": 7.5, "cross_share": 0.5},
    {"guidance": 7.5, "refine": 3},
)
FIGURES = ("psnr_truth", "colour_truth", "texture_truth", "beyond_recolour", "edges")
OTHERS = range(2400, 2404)  # scenes that no case shows


@dataclass(frozen=True, eq=False)
class Setting:
    """What everything here runs on."""

    editor: ls.Editor
    out: Path
    cases: Mapping[str, Sequence[Case]]  # by style
    steps: int
    base: Mapping[str, object]  # options of the encoder that every variant starts from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--styles", nargs="+", default=["stained glass"])
    parser.add_argument("--scenes", type=int, default=1, help="edited, for every style")
    parser.add_argument("--only", choices=("concept", "vct"))
    parser.add_argument("--variants", help="numbers of the encoder's variants, as 0,3,4")
    parser.add_argument("--train-steps", type=int, help="of every training; the default's own")
    parser.add_argument("--steps", type=int, default=20, help="of every edit")
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    cases = {style: list(world_cases(wanted.scenes, [1], 128, [style])) for style in wanted.styles}
    editor = ls.Editor.load("mini", device=wanted.device)
    base = {"steps": wanted.train_steps} if wanted.train_steps else {}
    setting = Setting(editor, wanted.out, cases, wanted.steps, base)
    found: dict[str, list[dict]] = {}
    if wanted.only != "vct":
        numbers = map(int, wanted.variants.split(",")) if wanted.variants else range(len(ENCODER))
        found["concept"] = [encoder_row(setting, ENCODER[number]) for number in numbers]
    if wanted.only != "concept":
        found["vct"] = [fusion_row(setting, options) for options in FUSION]
    settings = {key: str(value) for key, value in vars(wanted).items() if key != "out"}
    text = json.dumps({"settings": settings, **found}, indent=1)
    (wanted.out / "concept_defaults.json").write_text(text)
    for name, rows in found.items():
        keys = [key for key in rows[0] if key != "options"]
        table = Table(f"{name}: options", *keys)
        for row in rows:
            table.add_row(label(row["options"]), *(f"{row[key]:.3f}" for key in keys))
        Console(width=140).print(table)


def encoder_row(setting: Setting, options: Mapping[str, object]) -> dict:
    """One variant of the encoder: CPU seconds, what it learned, how edits with it score."""
    rows, pictures = [], []
    for style, cases in setting.cases.items():
        learned, seconds = concept(setting, style, options)
        own, other = losses(setting.editor.backbone, style, learned)
        row = {"seconds": seconds, "own": own, "other": other}
        rows.append(row | scores(setting, cases, learned, {}, pictures, options))
    return shown(setting, "concept", options, rows, pictures)


def fusion_row(setting: Setting, options: Mapping[str, object]) -> dict:
    """One variant of the fusion, with what the encoder's defaults learned."""
    rows, pictures = [], []
    for style, cases in setting.cases.items():
        learned, _ = concept(setting, style, {})
        start = time.process_time()
        row = scores(setting, cases, learned, options, pictures, options)
        rows.append({"seconds": (time.process_time() - start) / len(cases), **row})
    return shown(setting, "vct", options, rows, pictures)


def shown(
    setting: Setting,
    kind: str,
    options: Mapping[str, object],
    rows: list[dict],
    pictures: list[tuple[str, Image.Image]],
) -> dict:
    """The mean row, printed at once, with its pictures written."""
    row = {key: float(np.nanmean([one[key] for one in rows])) for key in rows[0]}
    print(json.dumps({"options": options, **row}), flush=True)
    contact_sheet(pictures, 3).save(setting.out / f"{kind}-{slug(label(options))}.png")
    return {"options": options, **row}


def concept(setting: Setting, style: str, options: Mapping[str, object]) -> tuple[ls.Style, float]:
    """The style learned from its picture with these options, and the seconds it took."""
    given = {**setting.base, **options}
    path = setting.out / f"{slug(style + ' ' + label(given))}.safetensors"
    backbone = setting.editor.backbone
    if not path.exists():
        prompt, bookmark = f"a painting in {style} style", path.with_suffix(".resume")
        request = ls.StyleRequest(slug(style), prompt, resume=bookmark)
        preset = given.pop("preset", None)
        encoder = setting.editor.host.style_encoder("concept", given, preset=preset)
        image = Image.fromarray(style_picture(style, 128).picture)
        start = time.process_time()
        learned = encoder.encode([image], backbone, request, lambda step: None)
        learned = learned.with_meta(seconds=f"{time.process_time() - start:.1f}")
        learned.save(path)
    learned = ls.read_style(path)[0]
    return learned, float(learned.meta["seconds"])


def losses(backbone: ls.Backbone, style: str, learned: ls.Style) -> tuple[float, float]:
    """Noise loss on the style's picture and on other scenes, over that of the words begun with."""
    world = World(HELD_OUT_WORLD, 128)
    own = pixels(style_picture(style, 128).picture)
    other = torch.cat([pixels(world.scene(number).render(style)) for number in OTHERS])
    plain = backbone.text(f"a painting in {style} style")
    words = backbone.text(learned.trigger, learned.words)
    found = []
    for pictures in (own, other):
        latents = backbone.encode(pictures).repeat_interleave(8, 0)
        t = (torch.arange(len(latents)) * 125 + 60) % 1000
        with torch.no_grad():
            now, before = (
                float(
                    noise_loss(
                        backbone,
                        latents,
                        text.states.expand(len(latents), -1, -1),
                        t,
                        noise=ls.generator(0, "bench"),
                        training=ls.Training(),
                    )
                )
                for text in (words, plain)
            )
        found.append(now / before)
    return found[0], found[1]


def scores(
    setting: Setting,
    cases: Sequence[Case],
    learned: ls.Style,
    fusing: Mapping[str, object],
    pictures: list[tuple[str, Image.Image]],
    options: Mapping[str, object],
) -> dict[str, float]:
    """Mean figures of edits of the cases."""
    found = []
    for case in cases:
        edit = ls.Edit(
            image=ls.Photo.from_image(case.photo),
            regions=tuple(ls.Region(mask.astype(np.float32), learned) for mask in case.masks),
            fusion=ls.Fusing("vct", options=dict(fusing)),
            steps=setting.steps,
            size=case.photo.shape[:2],
        )
        image = setting.editor.run(edit).image.convert("RGB")
        pictures += [
            ("photo", Image.fromarray(case.photo)),
            (label(options), image),
            ("truth", Image.fromarray(case.truths[0])),
        ]
        found += Scorer(case).regions(np.asarray(image))
    return {name: float(np.nanmean([one.get(name, np.nan) for one in found])) for name in FIGURES}


def pixels(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def label(options: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "the defaults"


if __name__ == "__main__":
    main()
