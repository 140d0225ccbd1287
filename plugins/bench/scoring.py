"""All figures of a picture in a case; `docs/benchmark.md` says what each is worth."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # the host's metrics

import numpy as np

import locstyle as ls
from locstyle import measure

from .baselines import pasted, weights
from .cases import Area, Case, Picture, StylePicture
from .results import METRIC, Figure, finite

SMALLEST_GAP = 0.1  # of texture distance, below which a share of it means nothing
SMALLEST_SHARE = 0.25  # of what recolouring leaves that the ceiling must close to be a yardstick


@dataclass(frozen=True, eq=False)
class Goal:
    """What a region should look like: the truth in place, or else the style picture as a whole."""

    picture: Picture
    area: Area  # of `picture`

    def texture(self, picture: Picture, mask: Area) -> float:
        return measure.texture_distance(picture, self.picture, mask, self.area)

    def colour(self, picture: Picture, mask: Area) -> float:
        return measure.colour_distance(picture, self.picture, mask, self.area)

    def recoloured(self, photo: Picture, mask: Area) -> Picture:
        """The photo with the goal's histogram inside the mask."""
        painted = measure.recolour(photo, self.picture, mask, self.area)
        rounded: Picture = np.round(255 * painted).astype(np.uint8)
        return rounded


def goal_of(case: Case, style: int, place: int) -> Goal:
    """What region `place` would be in the style of region `style`."""
    if case.truths is None:
        return whole(case.styles[style])
    return Goal(case.truths[style], case.masks[place])


def whole(style: StylePicture) -> Goal:
    """A style picture, all of it."""
    return Goal(style.picture, np.ones(style.picture.shape[:2], bool))


@dataclass(frozen=True)
class Gap:
    """Texture distances to a region's goal: of recolouring, and of what cannot be beaten."""

    recoloured: float
    ceiling: float

    def beyond(self, distance: float) -> float:
        return math.nan if self.recoloured < SMALLEST_GAP else 1 - distance / self.recoloured

    def closed(self, distance: float) -> float:
        width = self.recoloured - self.ceiling
        if width < max(SMALLEST_GAP, SMALLEST_SHARE * self.recoloured):
            return math.nan
        return (self.recoloured - distance) / width


class Scorer:
    """Scores pictures of one case; the yardsticks are measured once."""

    def __init__(self, case: Case, metrics: dict[str, Any] | None = None) -> None:
        self.case, self._metrics = case, {} if metrics is None else metrics
        self._goals = [goal_of(case, i, i) for i in range(len(case.masks))]
        self._gaps = list(self._measured_gaps())

    def regions(self, picture: Picture) -> list[dict[str, float]]:
        """The figures of every region."""
        return [finite(self._region(picture, index)) for index in range(len(self.case.masks))]

    def edit(self, picture: Picture) -> dict[str, float]:
        """What was kept outside all feathered masks; nothing where they leave nothing outside."""
        outside = (weights(self.case).weight == 0).numpy()
        if not outside.any():
            return {}
        same = measure.identical_share(picture, self.case.photo, outside)
        psnr = measure.psnr(picture, self.case.photo, outside)
        return finite({"outside_identical": same, "outside_psnr": psnr})

    def _region(self, picture: Picture, index: int) -> dict[str, float]:
        case, mask, goal = self.case, self.case.masks[index], self._goals[index]
        style = whole(case.styles[index])
        distance = goal.texture(picture, mask)
        figures = {
            "texture_style": style.texture(picture, mask),
            "colour_style": style.colour(picture, mask),
            "beyond_recolour": self._gaps[index].beyond(distance),
            "closed": self._gaps[index].closed(distance),
            "edges": measure.edge_agreement(picture, case.photo, mask),
            "ssim": measure.ssim_luminance(picture, case.photo, mask),
            "seam": measure.seam_index(picture, case.photo, mask),
        }
        if case.truths is not None:
            figures |= {
                "texture_truth": distance,
                "colour_truth": goal.colour(picture, mask),
                "psnr_truth": measure.psnr(picture, goal.picture, mask),
            }
        return figures | self._learned(picture, index)

    def _learned(self, picture: Picture, index: int) -> dict[str, float]:
        """What the plugins' metrics say; one that cannot run is dropped with one warning."""
        case, found = self.case, {}
        references = {"style": case.styles[index].picture, "photo": case.photo}
        if case.truths is not None:
            references["truth"] = case.truths[index]
        for name, metric in list(self._metrics.items()):
            if metric.needs not in references:
                continue
            try:
                score = metric.measure(picture, references[metric.needs], case.masks[index])
                found[METRIC + name] = float(score)
            except ls.LocstyleError as error:
                warnings.warn(f"metric {name!r} is left out: {error}", stacklevel=2)
                del self._metrics[name]
        return found

    def _measured_gaps(self) -> Iterator[Gap]:
        case = self.case
        ceiling = None if case.redrawn is None else pasted(case, case.redrawn)
        for goal, mask, style in zip(self._goals, case.masks, case.styles, strict=True):
            recoloured = goal.texture(goal.recoloured(case.photo, mask), mask)
            best = self_distance(style) if ceiling is None else goal.texture(ceiling, mask)
            yield Gap(recoloured, best)


def self_distance(style: StylePicture) -> float:
    """Texture distance of a style picture's halves: how near one painter's own crops are."""
    height, width = style.picture.shape[:2]
    found = []
    for first in (np.arange(width)[None] < width // 2, np.arange(height)[:, None] < height // 2):
        half: Area = np.broadcast_to(first, (height, width))
        found.append(measure.texture_distance(style.picture, style.picture, half, ~half))
    return float(np.mean(found))


def metric_figures(metrics: Mapping[str, Any]) -> list[Figure]:
    """The columns that the plugins' metrics add."""
    said = "Learned, from a plugin; against the"
    return [
        Figure(
            METRIC + name, metric.label, "", metric.better, 3, "region", f"{said} {metric.needs}."
        )
        for name, metric in metrics.items()
    ]


def leaked(case: Case, together: Picture, alone: Picture) -> list[dict[str, float]]:
    """How much nearer every region but the last came to the last one's style by its presence.

    `alone` is the same edit without the last region. 0: nothing of its style shows elsewhere; 1: it
    covers everything; small values of either sign are chance. Where pasting alone fades one region
    into the last, nothing is measured. The last region has no figure.
    """
    last = len(case.masks) - 1
    unmixed = (weights(case).values[last + 1] == 0).numpy()
    found: list[dict[str, float]] = []
    for index, mask in enumerate(case.masks[:last]):
        place: Area = mask & unmixed
        if not place.any():
            found.append({})
            continue
        goal = goal_of(case, last, index)
        if case.truths is not None:
            goal = Goal(goal.picture, place)
        pairs: Sequence[tuple[str, float, float]] = (
            ("leak_texture", goal.texture(alone, place), goal.texture(together, place)),
            ("leak_colour", goal.colour(alone, place), goal.colour(together, place)),
        )
        shares = {k: (far - near) / far if far > 0 else math.nan for k, far, near in pairs}
        found.append(finite(shares))
    return found
