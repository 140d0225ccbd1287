"""The connected parts of masks, and which of them touch: what decides the frames of an edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.masks import Mask
from locstyle.photo import boxes
from locstyle.photo.boxes import Box

GRID = 1024
"""Cells along the longer side of a photo, at most: parts are found on this grid."""

MOST = 16
"""Parts of one region, and groups of all, at most; what is beyond joins its nearest."""

SPECK = 0.02
"""The share of its region's largest part below which a part is a speck."""

Cells = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Part:
    """A connected part of a region.

    `region` is the region's index, which has so many parts in `all`; `box` is the (x0, y0, x1, y1)
    around it in photo pixels, `cells` [h, w] the cells of the photo's grid that it touches, each
    `side` photo pixels wide.
    """

    region: int
    box: Box
    cells: Cells
    side: int
    all: int

    def held(self, box: Box) -> Cells:
        """The photo pixels of `box` [h, w] that lie in its cells."""
        x0, y0, x1, y1 = box
        rows, columns = np.arange(y0, y1) // self.side, np.arange(x0, x1) // self.side
        held: Cells = self.cells[rows[:, None], columns]
        return held


def parts_of(mask: Mask, region: int) -> list[Part]:
    """The connected parts of all that is not 0 in a mask, the largest first; specks join their
    nearest part."""
    side = ceil(max(mask.size) / GRID)
    cells = _cells(mask, side)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")
    kept = [int(i) + 1 for i in order[:MOST] if areas[i] >= SPECK * areas[order[0]]]
    pieces = [labels == label for label in kept]
    if len(kept) < count - 1:
        specks = cells & ~np.isin(labels, kept)
        nearest = np.argmin([_distance(piece) for piece in pieces], axis=0)
        pieces = [piece | (specks & (nearest == n)) for n, piece in enumerate(pieces)]
    return [
        Part(region, _box(piece, side, mask.size), piece, side, len(pieces)) for piece in pieces
    ]


def touching(parts: Sequence[Part], reach: Callable[[Part], float]) -> list[list[Part]]:
    """Parts by who touches whom, directly or through others, in the order of their first.

    Two touch when they meet after each is widened by its own `reach` in photo pixels. Beyond `MOST`
    groups the two that lie nearest become one.
    """
    reaches = [reach(part) for part in parts]
    owner = list(range(len(parts)))
    for first, second in _near(parts, reaches):
        if owner[first] != owner[second] and _gap(parts[first], parts[second]) <= (
            reaches[first] + reaches[second]
        ):
            owner = [owner[first] if one == owner[second] else one for one in owner]
    groups = [[p for p, o in zip(parts, owner, strict=True) if o == one] for one in _unique(owner)]
    while len(groups) > MOST:
        pairs = ((a, b) for a in range(len(groups)) for b in range(a + 1, len(groups)))
        a, b = min(
            pairs, key=lambda pair: _box_gap(around(groups[pair[0]]), around(groups[pair[1]]))
        )
        groups[a] += groups.pop(b)
    return groups


def around(parts: Sequence[Part]) -> Box:
    """The box around parts."""
    return boxes.around(*(part.box for part in parts))


def _cells(mask: Mask, side: int) -> Cells:
    """The cells of the grid that hold anything of the mask."""
    height, width = (ceil(length / side) for length in mask.size)
    cells = np.zeros((height, width), bool)
    x0, y0, x1, y1 = mask.bounds
    left, top = x0 // side * side, y0 // side * side
    inside = mask.part((left, top, x1, y1)).numpy() > 0
    rows, columns = (ceil(length / side) for length in inside.shape)
    padded = np.zeros((rows * side, columns * side), bool)
    padded[: inside.shape[0], : inside.shape[1]] = inside
    touched = padded.reshape(rows, side, columns, side).any((1, 3))
    cells[top // side : top // side + rows, left // side : left // side + columns] = touched
    return cells


def _box(cells: Cells, side: int, size: tuple[int, int]) -> Box:
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    bottom, right = (int(rows[-1]) + 1) * side, (int(columns[-1]) + 1) * side
    return int(columns[0]) * side, int(rows[0]) * side, min(right, size[1]), min(bottom, size[0])


def _distance(cells: Cells) -> NDArray[np.float32]:
    """How far each cell lies from the nearest of `cells`, in cells."""
    outside = (~cells).astype(np.uint8)
    found: NDArray[np.float32] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return found


def _near(parts: Sequence[Part], reaches: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Pairs whose boxes meet when widened: only those can touch."""
    for first in range(len(parts)):
        for second in range(first + 1, len(parts)):
            far = reaches[first] + reaches[second]
            if _box_gap(parts[first].box, parts[second].box) <= far:
                yield first, second


def _gap(one: Part, other: Part) -> float:
    """Photo pixels between two parts, at least; cells that border each other have none."""
    cells = float(_distance(one.cells)[other.cells].min())
    return max(0.0, cells - 1) * one.side


def _box_gap(one: Box, other: Box) -> float:
    dx = max(0, other[0] - one[2], one[0] - other[2])
    dy = max(0, other[1] - one[3], one[1] - other[3])
    return float(np.hypot(dx, dy))


def _unique(values: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(values))
