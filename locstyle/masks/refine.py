"""What can be done to a mask's values: moved edges, filled holes, edges drawn to the photo's.

Arrays [H, W] float32 in [0, 1] in, new arrays out. What lies beyond the picture's border is
unknown: nothing grows in from there, and nothing shrinks away from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isfinite
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError

Values = NDArray[np.float32]

_LARGEST_KERNEL = 8  # pixels; larger discs are sums of these, which costs far less
_LEVELS = 8  # steps in which the holes of a soft mask are filled
_TILE = 512  # pixels; side of the tiles a photo is looked at in, to bound memory
_EVEN = 1e-4  # the guided filter's epsilon: colours that vary less (σ 0.01) are no edge


def check_pixels(name: str, pixels: float, size: tuple[int, ...]) -> None:
    """Refuses a distance that is none, or is more than the longer side."""
    if not isfinite(pixels) or not 0 <= pixels <= max(size):
        raise MaskError(f"{name}: got {pixels!r}; give 0 to {max(size)} pixels, the longer side")


def grow(values: Values, pixels: float) -> Values:
    """All that lies within `pixels` of what is inside; a soft edge is moved as it is."""
    if pixels < 1 or not values.any():  # no neighbour is nearer than one pixel
        return values
    if is_hard(values):
        near = cv2.distanceTransform(
            (values == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        within: Values = (near <= pixels).astype(np.float32)
        return within
    for radius in _radii(pixels):
        values = cv2.dilate(values, _disc(radius))
    return values


def shrink(values: Values, pixels: float) -> Values:
    """What lies further than `pixels` from all that is outside."""
    return 1 - grow(1 - values, pixels)


def smooth(values: Values, pixels: float) -> Values:
    """Edges rounded off: each pixel becomes what most within `pixels` around it are (the median).

    Hard stays hard, a soft ramp stays one; what is thinner than `pixels` goes.
    """
    reach = min(ceil(pixels), 127, (min(values.shape) - 1) // 2)
    if reach <= 0:
        return values
    grey = np.round(values * 255).astype(np.uint8)
    median: Values = (cv2.medianBlur(grey, 2 * reach + 1) / 255.0).astype(np.float32)
    return median


def fill(values: Values) -> Values:
    """Holes closed up to the height of their rim; soft outer edges stay as they are.

    A hole is what has no way to the picture's border; between two pixels that touch at a corner
    there is none.
    """
    filled = values
    levels = (1.0,) if is_hard(values) else [n / _LEVELS for n in range(1, _LEVELS + 1)]
    for level in levels:
        outside = np.pad((values < level).astype(np.uint8), 1, constant_values=1)
        cv2.floodFill(outside, None, (0, 0), 2, flags=4)
        holes = outside[1:-1, 1:-1] == 1
        filled = np.where(holes, np.maximum(filled, np.float32(level)), filled)
    return filled


def largest(values: Values, count: int) -> Values:
    """The `count` largest connected pieces; soft rims go with the piece they are nearest to."""
    if not values.any():
        return values
    core = values >= values.max() / 2
    pieces, labels, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if pieces - 1 <= count:
        return values
    keeps = np.zeros(pieces, bool)
    keeps[1 + np.argsort(-areas, kind="stable")[:count]] = True
    if is_hard(values):
        return np.where(keeps[labels], values, np.float32(0))
    _, nearest = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    named = np.zeros(nearest.max() + 1, bool)  # distanceTransform numbers the pieces its own way
    named[nearest[core]] = keeps[labels[core]]
    return np.where(named[nearest], values, np.float32(0))


def snap(values: Values, photo: NDArray[Any], pixels: float) -> Values:
    """The mask's edge drawn to the photo's edges within `pixels`, by a guided filter.

    He, Sun, Tang, "Guided image filtering" (ECCV 2010) eq. 14, with colours as the guide.
    *Deviation:* its result is steepened about one half, as it is for mattes and would leave hard
    masks foggy; and only tiles with an edge in them are looked at.

    Args:
        photo: [H, W, C] uint8 or uint16, as `Photo.pixels`.
    """
    reach = ceil(pixels)
    if reach == 0:
        return values
    snapped = values.copy()
    for tile, wide in _tiles(values.shape, 2 * reach):
        part = values[wide]
        if part.min() == part.max():
            continue
        guided = _guided(_colours(photo[wide]), part.astype(np.float64), reach)
        inner = tuple(
            slice(t.start - w.start, t.stop - w.start) for t, w in zip(tile, wide, strict=True)
        )
        snapped[tile] = ((guided[inner] - 0.5) * 2 + 0.5).clip(0, 1)
    return snapped


def is_hard(values: Values) -> bool:
    """Whether every value is 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def _radii(pixels: float) -> Iterator[float]:
    """Discs grown by one after another add their radii."""
    passes = ceil(pixels / _LARGEST_KERNEL)
    return iter([pixels / passes] * passes)


def _disc(radius: float) -> NDArray[np.uint8]:
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc: NDArray[np.uint8] = (x**2 + y**2 <= radius**2).astype(np.uint8)
    return disc


def _tiles(
    size: tuple[int, ...], margin: int
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Tiles of a picture, each also with `margin` more on every side."""
    height, width = size
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            bottom, right = min(y + _TILE, height), min(x + _TILE, width)
            rows = slice(max(0, y - margin), min(height, bottom + margin))
            columns = slice(max(0, x - margin), min(width, right + margin))
            yield (slice(y, bottom), slice(x, right)), (rows, columns)


def _colours(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Colours [H, W, 3] in [0, 1], whatever the photo's channels."""
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, -1)
    return colours / float(np.iinfo(pixels.dtype).max)


def _guided(guide: NDArray[np.float64], values: NDArray[np.float64], reach: int) -> Values:
    """The guided filter: locally, `values` as a linear function of the guide's colours."""

    def mean(x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        side = 2 * reach + 1
        found: NDArray[np.float64] = cv2.boxFilter(x, -1, (side, side))
        return found

    colour, share = mean(guide), mean(values)
    along = mean(guide * values[..., None]) - colour * share[..., None]
    spread = np.stack([mean(guide * guide[..., i : i + 1]) for i in range(3)], -1)
    spread -= colour[..., None] * colour[..., None, :]
    slope = np.linalg.solve(spread + _EVEN * np.eye(3), along[..., None])[..., 0]
    offset = share - (slope * colour).sum(-1)
    result: Values = ((mean(slope) * guide).sum(-1) + mean(offset)).astype(np.float32)
    return result
