"""Masks of what is drawn by hand, at the photo's size: strokes of a brush, the inside of a lasso.

A pixel is inside where its middle is. What is drawn becomes runs of pixels, row by row, which are
filled band by band: the cost is that of the pixels in the bands it reaches, whatever the photo's
size. Points may lie outside the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from math import ceil
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from locstyle.errors import MaskError
from locstyle.masks.lines import (
    Lines,
    Numbers,
    Whole,
    parts_of,
    row_ends,
    soft_edge,
    without_edge,
)
from locstyle.masks.mask import Mask
from locstyle.photo import boxes
from locstyle.selection import Stroke

MOST_RUNS = 2**25
"""Rows that the parts of a drawing may reach, each part counted for itself."""

MOST_PIXELS = 2**32
"""Pixels that may be filled for it: the largest photo sixteen times over."""

MOST_HELD = 2**29
"""Pixels around one drawing: the largest photo and the soft edges outside it."""

_BAND = 64  # rows filled at once: of a slanted line that is little more than the line
_AT_ONCE = 2**19  # runs worked out at once, to bound memory

Inside = NDArray[np.bool_]


class Runs(NamedTuple):
    """In each of `rows`, what begins at the columns `starts`, and what ends at `stops`."""

    rows: Whole
    starts: Whole
    stops: Whole


def drawn_strokes(strokes: Sequence[Stroke], size: tuple[int, int], *, where: str) -> Mask:
    """The mask of strokes one after another, in a photo of (height, width); see `Stroke`.

    A soft edge falls off evenly. Where strokes overlap the stronger counts, however many there are.

    Raises:
        MaskError: more to draw than a drawing may have.
    """
    budget = _Budget(where)
    mask = _nothing(size)
    # What is drawn alike, one after another, is drawn at once; a pen's stroke by itself.
    for (erases, *_), alike in groupby(enumerate(strokes), key=_alike):
        parts, softs = parts_of([stroke for _, stroke in alike])
        drawn = _nothing(size)
        for soft in sorted(set(softs.tolist())):
            inner = without_edge(parts.picked(np.flatnonzero(softs == soft)), soft)
            drawn = drawn | _drawn(inner, soft, size, budget)
        mask = mask - drawn if erases else mask | drawn
    return mask


def drawn_lasso(
    points: Sequence[tuple[float, float]], size: tuple[int, int], *, where: str
) -> Mask:
    """The mask of the inside of a closed outline (x, y), even-odd, in a photo of (height, width).

    Raises:
        MaskError: as `drawn_strokes`.
    """
    budget = _Budget(where)
    x, y = np.array(points, np.float64).T
    none = np.zeros(len(x))
    parts = Lines(x, y, np.roll(x, -1), np.roll(y, -1), none, none)
    return _filled(_crossings(parts, size, budget), size, budget, _odd)


class _Budget:
    """What a drawing may still cost."""

    def __init__(self, where: str) -> None:
        self._where, self._rows, self._pixels = where, MOST_RUNS, MOST_PIXELS

    def spend(self, *, rows: int = 0, pixels: int = 0, held: int = 0) -> None:
        """Counts rows and pixels; what is `held` at once is only looked at."""
        self._rows -= rows
        self._pixels -= pixels
        if self._rows < 0 or self._pixels < 0 or held > MOST_HELD:
            raise MaskError(
                f"{self._where}: too much is drawn in one selection; draw less of it, or a mask "
                "file instead"
            )


def _drawn(parts: Lines, soft: float, size: tuple[int, int], budget: _Budget) -> Mask:
    """The mask of lines that are drawn alike; `parts` are without their soft edge."""
    around = ceil(soft)  # lines outside the photo may have an edge inside
    wide = size[0] + 2 * around, size[1] + 2 * around
    ax, ay, bx, by = (values + around for values in parts[:4])
    moved = Lines(ax, ay, bx, by, parts.ar, parts.br)
    core = _filled(_across(moved, wide, budget), wide, budget, _any)
    if not soft:
        return core
    box = around, around, around + size[1], around + size[0]
    return _softened(core, soft, budget).crop(box)


def _alike(numbered: tuple[int, Stroke]) -> tuple[bool, float, int]:
    number, stroke = numbered
    return stroke.erases, soft_edge(stroke.radius * stroke.softness), number if stroke.radii else -1


def _across(parts: Lines, size: tuple[int, int], budget: _Budget) -> Iterator[Runs]:
    """The pixels of lines: each row of a part with round ends is one run."""
    top = np.minimum(parts.ay - parts.ar, parts.by - parts.br)
    bottom = np.maximum(parts.ay + parts.ar, parts.by + parts.br)
    first, last = np.ceil(top - 0.5), np.floor(bottom - 0.5) + 1
    for rows, one in _by_row(parts, first, last, size[0], budget):
        left, right = row_ends(one, rows.astype(np.float64) + 0.5)
        starts = np.clip(np.ceil(left - 0.5), 0, size[1]).astype(np.int64)
        stops = np.clip(np.floor(right - 0.5) + 1, 0, size[1]).astype(np.int64)
        seen = starts < stops
        yield Runs(rows[seen], starts[seen], stops[seen])


def _crossings(parts: Lines, size: tuple[int, int], budget: _Budget) -> Iterator[Runs]:
    """Where outlines cross the middles of rows; nothing stops there, inside and outside swap."""
    top, bottom = np.minimum(parts.ay, parts.by), np.maximum(parts.ay, parts.by)
    for rows, one in _by_row(parts, np.ceil(top - 0.5), np.ceil(bottom - 0.5), size[0], budget):
        x = one.ax + (rows + 0.5 - one.ay) / (one.by - one.ay) * (one.bx - one.ax)
        starts = np.clip(np.ceil(x - 0.5), 0, size[1]).astype(np.int64)
        yield Runs(rows, starts, starts[:0])


def _by_row(
    parts: Lines, first: Numbers, last: Numbers, height: int, budget: _Budget
) -> Iterator[tuple[Whole, Lines]]:
    """Each part once for each row of the photo from its `first` to its `last`, exclusive."""
    begins = np.clip(first, 0, height).astype(np.int64)
    counts = np.clip(last, 0, height).astype(np.int64) - begins
    budget.spend(rows=int(counts.sum()))
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]), _AT_ONCE):
        place = np.arange(start, min(start + _AT_ONCE, int(ends[-1])))
        which = np.searchsorted(ends, place, side="right")
        yield begins[which] + place - (ends - counts)[which], parts.picked(which)


def _any(counts: Whole) -> Inside:
    return counts > 0


def _odd(counts: Whole) -> Inside:
    odd: Inside = counts % 2 == 1
    return odd


def _filled(
    found: Iterator[Runs],
    size: tuple[int, int],
    budget: _Budget,
    inside: Callable[[Whole], Inside],
) -> Mask:
    """The mask of the pixels where what has begun and not ended is `inside`."""
    chunks = list(found)
    if not any(len(runs.rows) for runs in chunks):
        return _nothing(size)
    rows = np.concatenate([runs.rows for runs in chunks])
    starts = np.concatenate([runs.starts for runs in chunks])
    stops = np.concatenate([runs.stops for runs in chunks])
    left, right = int(starts.min()), int((stops if len(stops) else starts).max())
    top, bottom = int(rows.min()), int(rows.max()) + 1
    budget.spend(held=(bottom - top) * (right - left))
    patch = np.zeros((bottom - top, right - left), np.bool_)
    order = np.argsort(rows, kind="stable")
    edges = np.searchsorted(rows[order], range(top, bottom + _BAND, _BAND))
    for number, (start, stop) in enumerate(pairwise(edges)):
        which = order[start:stop]
        if len(which):
            band = patch[number * _BAND : (number + 1) * _BAND]
            row = rows[which] - top - number * _BAND
            runs = Runs(row, starts[which] - left, stops[which] - left if len(stops) else stops)
            _fill(band, runs, budget, inside)
    return Mask(torch.from_numpy(patch), corner=(left, top), size=size)


def _fill(band: Inside, runs: Runs, budget: _Budget, inside: Callable[[Whole], Inside]) -> None:
    """Sets what is inside in some rows, [h, w], only between the first run and the last."""
    ends = runs.stops if len(runs.stops) else runs.starts
    x0, x1 = int(runs.starts.min()), int(ends.max())
    height, width = len(band), x1 - x0 + 1
    budget.spend(pixels=height * width)
    place = runs.rows * width - x0
    counts = np.bincount(place + runs.starts, minlength=height * width)
    if len(runs.stops):
        counts -= np.bincount(place + runs.stops, minlength=height * width)
    found = np.cumsum(counts.reshape(height, width), 1)[:, :-1]
    band[:, x0:x1] = inside(found)


def _softened(core: Mask, soft: float, budget: _Budget) -> Mask:
    """The mask with an edge added that falls off evenly over `soft` pixels."""
    reach = ceil(soft)
    x0, y0, x1, y1 = boxes.grown(core.bounds, reach, core.size)
    pixels = (x1 - x0) * (y1 - y0)
    budget.spend(pixels=pixels, held=pixels)
    values = torch.zeros(y1 - y0, x1 - x0)
    step = max(1024, 4 * reach)
    for top in range(y0, y1, step):
        bottom = min(top + step, y1)
        above = max(y0, top - reach)
        outside = core.part((x0, above, x1, min(y1, bottom + reach))).numpy() == 0
        if not outside.all():
            away = cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            edge = (1 - away[top - above :][: bottom - top] / np.float32(soft)).clip(0, 1)
            values[top - y0 : bottom - y0] = torch.from_numpy(edge)
    return Mask(values, corner=(x0, y0), size=core.size)


def _nothing(size: tuple[int, int]) -> Mask:
    return Mask(torch.zeros(1, 1, dtype=torch.bool), size=size)
