"""Does the portrait preset hold a face better than the default, and what does it give up?

    python benchmarks/portrait.py --out OUT --styles PAINTINGS --face PHOTO MASK [--face …]

Every face in every style, by the default and by every preset of `magicstyle`. There is no truth on
real photos: edges and luminance are compared with the photo's, colour and texture with the whole
painting's. Prints means inside the masks, and writes OUT/portrait.md and OUT/portrait.png.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from locstyle_plugins.bench.cases import Case, StylePicture
from locstyle_plugins.bench.photos import pictures_in
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.magicstyle import MagicStyle
from PIL import Image, ImageOps

import locstyle as ls
from locstyle.job.cache import TrajectoryCache
from locstyle.sheet import contact_sheet

FIGURES = ("edges", "ssim", "texture_style", "colour_style", "seam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True, help="a folder of paintings")
    parser.add_argument("--face", type=Path, nargs=2, action="append", required=True)
    parser.add_argument("--side", type=int, default=256, help="of the photos, in pixels")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    cache = TrajectoryCache(wanted.out / "inversions")
    editor = ls.Editor.load("mini", device=wanted.device, cache=cache)
    cases = list(face_cases(wanted.face, wanted.styles, wanted.side))
    ways = [None, *MagicStyle.PRESETS]
    found: dict[str | None, list[dict[str, float]]] = {way: [] for way in ways}
    pictures = []
    for case in cases:
        scorer = Scorer(case)
        pictures += [(case.name, Image.fromarray(case.photo))]
        pictures += [(case.styles[0].name, Image.fromarray(case.styles[0].picture))]
        for way in ways:
            image = editor.run(edit(case, way, wanted.steps)).image.convert("RGB")
            found[way] += scorer.regions(np.asarray(image))
            pictures.append((way or "default", image))
            print(case.name, way or "default", found[way][-1], flush=True)
    text = table(found)
    print(text)
    (wanted.out / "portrait.md").write_text(text)
    contact_sheet(pictures, 2 + len(ways)).save(wanted.out / "portrait.png")


def face_cases(faces: list[list[Path]], styles: Path, side: int) -> Iterator[Case]:
    """Every face in every style: one region each, the photo's longer side `side` pixels."""
    paintings = [
        StylePicture(name, np.asarray(fitted(ls.Photo.open(path).srgb, side)))
        for name, path in pictures_in(styles).items()
    ]
    for photo, mask in faces:
        small = fitted(ls.Photo.open(photo).srgb, side)
        inside = np.asarray(
            ImageOps.exif_transpose(Image.open(mask)).convert("L").resize(small.size)
        )
        for painting in paintings:
            yield Case(
                name=photo.stem,
                group=photo.stem,
                caption="",
                photo=np.asarray(small),
                shown=("face",),
                masks=(inside > 127,),
                styles=(painting,),
            )


def fitted(image: Image.Image, side: int) -> Image.Image:
    upright = ImageOps.exif_transpose(image).convert("RGB")
    return ImageOps.contain(upright, (side, side), Image.Resampling.LANCZOS)


def edit(case: Case, preset: str | None, steps: int) -> ls.Edit:
    region = ls.Region(case.masks[0].astype(np.float32), Image.fromarray(case.styles[0].picture))
    return ls.Edit(
        image=ls.Photo.from_image(case.photo),
        regions=(region,),
        fusion=ls.Fusing("magicstyle", preset=preset),
        steps=steps,
        size=case.photo.shape[:2],
    )


def table(found: dict[str | None, list[dict[str, float]]]) -> str:
    lines = [f"| preset | {' | '.join(FIGURES)} |", "|---|" + "---|" * len(FIGURES)]
    for way, rows in found.items():
        means = []
        for figure in FIGURES:
            known = [row[figure] for row in rows if not math.isnan(row.get(figure, math.nan))]
            means.append(f"{math.fsum(known) / len(known):.3f}" if known else "–")
        lines.append(f"| {way or 'the default'} | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
