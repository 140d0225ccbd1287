"""Do the measures of `locstyle.measure` see style? Asked of paintings, which know the answer.

    python benchmarks/metric_check.py PAINTINGS PHOTOS [--json OUT.json]

Two folders of pictures. Four quadrants of every painting, 256 pixels each: two crops of one
painting should be nearer than crops of two (AUC, chance 0.5; nearest neighbour, chance about
3 / crops). A photo repainted in a painting's palette by `recolour` should stay far from it: the
recolour gap is the share of the way from photo to painting that palette alone covers, 100 % being
another crop of the painting. What `beyond_recolour` gives to pictures that deserve nothing (a photo
as it is, and blurred) and to one that deserves much (another crop of the painting) is printed
beside the yardsticks of `locstyle.measure.texture`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from locstyle_plugins.eye import EyeStyle
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from skimage.color import rgb2lab

import locstyle as ls
from locstyle import measure
from locstyle.measure import texture

SIDE = 256  # pixels of a crop
PARTS = ("bands", "gradients", "patches")


class Crop(NamedTuple):
    """A crop of a painting or photo with what the measures make of it."""

    source: int
    pixels: NDArray[np.uint8]  # [SIDE, SIDE, 3]
    levels: list[texture.Level]


@dataclass(frozen=True, eq=False)
class Seen:
    """Pixels as a key: the same object, the same look."""

    pixels: NDArray[np.uint8]

    def __hash__(self) -> int:
        return id(self.pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and self.pixels is other.pixels


class Trial(NamedTuple):
    """A photo, the same repainted, and the two crops of the painting it should not pass for."""

    photo: Crop
    repainted: Crop
    target: Crop
    sibling: Crop


class Score(NamedTuple):
    """How one measure did."""

    auc: float
    nearest: float
    recolour: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paintings", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument(
        "--pairs", type=int, default=40, help="photo and painting pairs to recolour"
    )
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    crops = [
        crop(i, quadrant)
        for i, path in enumerate(pictures(wanted.paintings))
        for quadrant in quadrants(path)
    ]
    trials = list(repaint(crops, [next(quadrants(p, SIDE // 2)) for p in pictures(wanted.photos)]))
    scores = {name: score(crops, trials, distance) for name, distance in measures().items()}
    report(scores, deserts(trials), yardsticks(crops), wanted.json)


def measures() -> dict[str, Callable[[Crop, Crop], float]]:
    """Each measure as a distance of two crops."""

    eye = EyeStyle()

    @cache
    def learned(one: Seen) -> list[Any]:
        return eye.grams(one.pixels, np.ones(one.pixels.shape[:2], bool))

    def part(index: int) -> Callable[[Crop, Crop], float]:
        return lambda a, b: texture.between(a.levels, b.levels)[index]

    return {
        "colour": lambda a, b: measure.colour_distance(a.pixels, b.pixels),
        "texture": lambda a, b: texture.between(a.levels, b.levels).total,
        **{f"texture, {name} only": part(i) for i, name in enumerate(PARTS)},
        "eye": lambda a, b: eye.between(learned(Seen(a.pixels)), learned(Seen(b.pixels))),
    }


def score(crops: list[Crop], trials: list[Trial], distance: Callable[[Crop, Crop], float]) -> Score:
    """Separation of paintings, and what recolouring photos buys."""
    apart = np.full((len(crops), len(crops)), np.inf)
    for i, one in enumerate(crops):
        for j in range(i):
            apart[i, j] = apart[j, i] = distance(one, crops[j])
    source = np.array([one.source for one in crops])
    above = np.triu_indices(len(crops), 1)
    same = source[above[0]] == source[above[1]]
    nearest = float((source[apart.argmin(1)] == source).mean())
    before = np.mean([distance(trial.photo, trial.target) for trial in trials])
    after = np.mean([distance(trial.repainted, trial.target) for trial in trials])
    itself = np.mean([distance(trial.sibling, trial.target) for trial in trials])
    gap = float((before - after) / (before - itself))
    return Score(auc(apart[above], same), nearest, gap)


def auc(values: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """Chance that a same pair is nearer than a different one."""
    ranks = np.empty(len(values))
    ranks[np.argsort(-values)] = np.arange(len(values))
    few, many = int(same.sum()), int((~same).sum())
    return float((ranks[same].sum() - few * (few - 1) / 2) / (few * many))


def repaint(crops: list[Crop], photos: list[NDArray[np.uint8]]) -> Iterator[Trial]:
    """Every photo in the palette of every painting's first quadrant; the sibling is its last."""
    for photo in photos:
        plain = crop(-1, photo)
        for target, sibling in zip(crops[::4], crops[3::4], strict=True):
            painted = measure.recolour(photo, target.pixels)
            repainted = crop(-1, (painted * 255).round().astype(np.uint8))
            yield Trial(plain, repainted, target, sibling)


def deserts(trials: list[Trial]) -> dict[str, float]:
    """Mean `beyond_recolour` of pictures whose merit is known."""
    claims: dict[str, Callable[[Trial], Crop]] = {
        "the photo as it is": lambda trial: trial.photo,
        "the photo, blur 1": lambda trial: blurred(trial.photo, 1),
        "the photo, blur 2": lambda trial: blurred(trial.photo, 2),
        "the photo, blur 4": lambda trial: blurred(trial.photo, 4),
        "the photo, noise 0.05": lambda trial: noisy(trial.photo),
        "another crop of the painting": lambda trial: trial.sibling,
    }

    def gained(trial: Trial, claim: Crop) -> float:
        left, gap = (
            texture.between(one.levels, trial.target.levels).total
            for one in (claim, trial.repainted)
        )
        return 1 - left / gap

    return {
        name: float(np.mean([gained(trial, claim(trial)) for trial in trials]))
        for name, claim in claims.items()
    }


def blurred(photo: Crop, sigma: float) -> Crop:
    return crop(-1, cv2.GaussianBlur(photo.pixels, (0, 0), sigma))


def noisy(photo: Crop) -> Crop:
    noise = np.random.default_rng(0).normal(scale=0.05 * 255, size=photo.pixels.shape)
    return crop(-1, (photo.pixels + noise).clip(0, 255).astype(np.uint8))


def yardsticks(crops: list[Crop]) -> NDArray[np.float64]:
    """Mean distance [levels, parts] over pairs of crops of different paintings."""
    return np.mean(
        [
            [texture.apart(a, b) for a, b in zip(one.levels, other.levels, strict=True)]
            for i, one in enumerate(crops)
            for other in crops[:i]
            if one.source != other.source
        ],
        axis=0,
    )


def report(
    scores: dict[str, Score],
    merits: dict[str, float],
    lengths: NDArray[np.float64],
    path: Path | None,
) -> None:
    found = Table("measure", "AUC", "nearest is same", "recolour gap")
    for name, one in scores.items():
        found.add_row(name, f"{one.auc:.3f}", f"{one.nearest:.3f}", f"{one.recolour:.0%}")
    given = Table("picture", "beyond recolour")
    for name, merit in merits.items():
        given.add_row(name, f"{merit:.2f}")
    lines = Table("level", *PARTS)
    for level, row in enumerate(lengths):
        lines.add_row(str(level), *(f"{value:.4f}" for value in row))
    Console().print(found, given, "yardsticks: mean distance between two paintings", lines)
    if path:
        plain = {
            "measures": {name: one._asdict() for name, one in scores.items()},
            "beyond_recolour": merits,
            "yardsticks": lengths.tolist(),
        }
        path.write_text(json.dumps(plain, indent=1))


def crop(source: int, pixels: NDArray[np.uint8]) -> Crop:
    lightness = np.ascontiguousarray(rgb2lab(pixels)[..., 0], np.float32)
    return Crop(source, pixels, texture.describe(lightness, np.ones_like(lightness)))


def quadrants(path: Path, corner: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Four crops of a picture brought to 512 pixels a side, starting at (corner, corner)."""
    pixels = np.asarray(ls.Photo.open(path).srgb.convert("RGB").resize((2 * SIDE, 2 * SIDE)))
    for y in (corner, SIDE):
        for x in (corner, SIDE):
            yield pixels[y : y + SIDE, x : x + SIDE]


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})


if __name__ == "__main__":
    main()
