"""Lines as they are drawn: straight parts with round ends, wide and soft as the brush was."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from locstyle.selection import Stroke

_THINNEST = 0.5**0.5  # pixels; a thinner line would pass between the middles of pixels
_STEP = 1.25  # between the soft edges of a stroke whose width changes
_LEVEL = 1e-9  # pixels; what rises less is level

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]


class Lines(NamedTuple):
    """Straight parts of lines, from (ax, ay), `ar` wide to both sides, to (bx, by) and `br`."""

    ax: Numbers
    ay: Numbers
    bx: Numbers
    by: Numbers
    ar: Numbers
    br: Numbers

    def picked(self, which: Whole) -> Lines:
        return Lines(*(values[which] for values in self))


def soft_edge(pixels: float) -> float:
    """Pixels of soft edge; what nobody can see is none."""
    return pixels if pixels > 0.01 else 0.0


def parts_of(strokes: Sequence[Stroke]) -> tuple[Lines, Numbers]:
    """The parts of lines, and how many pixels of each are soft edge; a dot is a part that ends
    where it begins."""
    ends, radii, softs = [], [], []
    for stroke in strokes:
        double = 2 if len(stroke.points) == 1 else 1
        wide = (stroke.radii or (stroke.radius,) * len(stroke.points)) * double
        spots = np.column_stack([np.array(stroke.points * double, np.float64), wide])
        if stroke.radii and stroke.softness:
            spots = _finer(spots)
        ends.append(spots[:, :2])
        radii.append(spots[:, 2])
        softs += _softs(stroke, spots[:, 2].tolist())
    (ax, ay), (bx, by) = (
        np.concatenate(e).T for e in ([e[:-1] for e in ends], [e[1:] for e in ends])
    )
    ar, br = (np.concatenate(r) for r in ([r[:-1] for r in radii], [r[1:] for r in radii]))
    return Lines(ax, ay, bx, by, ar, br), np.array(softs)


def _finer(spots: Numbers) -> Numbers:
    """Points and their radii [n, 3], with more between where the radius changes by a lot."""
    found = [spots[:1]]
    for one, other in pairwise(spots):
        least, most = sorted(max(float(radius), 0.5) for radius in (one[2], other[2]))
        found.append(np.linspace(one, other, 1 + max(1, ceil(log(most / least, _STEP))))[1:])
    return np.concatenate(found)


def _softs(stroke: Stroke, radii: Sequence[float]) -> list[float]:
    """Pixels of soft edge of each part of a stroke.

    Where the width changes so does the edge, in steps that nobody sees.
    """
    if not stroke.radii:
        return [soft_edge(stroke.radius * stroke.softness)] * (len(radii) - 1)
    meant = [(one + other) / 2 * stroke.softness for one, other in pairwise(radii)]
    return [soft_edge(_STEP ** round(log(soft, _STEP))) if soft > 0.01 else 0.0 for soft in meant]


def without_edge(parts: Lines, soft: float) -> Lines:
    """Lines without their soft edge."""
    ar, br = (np.maximum(radii - soft, _THINNEST) for radii in (parts.ar, parts.br))
    return parts._replace(ar=ar, br=br)


def row_ends(part: Lines, y: Numbers) -> tuple[Numbers, Numbers]:
    """Where the line at height `y` enters and leaves a part with round ends; in one that only
    rounding let in, it leaves before it enters."""
    left, right = np.full_like(y, np.inf), np.full_like(y, -np.inf)
    for x, middle, radius in ((part.ax, part.ay, part.ar), (part.bx, part.by, part.br)):
        square = radius**2 - (y - middle) ** 2
        half = np.sqrt(np.maximum(square, 0))
        left = np.where(square >= 0, np.minimum(left, x - half), left)
        right = np.where(square >= 0, np.maximum(right, x + half), right)
    along, down = part.bx - part.ax, part.by - part.ay
    length = np.maximum(np.hypot(along, down), 1e-12)
    # The sides touch both ends; where one end lies within the other there are none.
    lean = (part.ar - part.br) / length
    upright = np.sqrt(np.maximum(1 - lean**2, 0))
    for sign in (1, -1):
        aside, other = (radius / length * upright * sign for radius in (part.ar, part.br))
        ahead, beyond = (radius / length * lean for radius in (part.ar, part.br))
        across = along - down * (other - aside) + along * (beyond - ahead)
        rise = down + along * (other - aside) + down * (beyond - ahead)
        start = part.ax - down * aside + along * ahead
        share = (y - part.ay - along * aside - down * ahead) / np.where(
            abs(rise) < _LEVEL, np.inf, rise
        )
        x = start + share * across
        meets = (share > 0) & (share < 1) & (abs(lean) < 1)
        left = np.where(meets, np.minimum(left, x), left)
        right = np.where(meets, np.maximum(right, x), right)
    return left, right
