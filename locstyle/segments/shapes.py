"""Shapes of segments as other tools write them, polygons and run lengths, to COCO's run lengths.

COCO's own tools believe every number: each is checked here before they see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # Any: parsed JSON

from locstyle.errors import MaskError, shown
from locstyle.files import bounds
from locstyle.masks import check_size

_LONGEST_RUN = 60  # bits of a coded run: no photo has as many pixels


def filled(shape: list[Any], size: tuple[int, int]) -> bytes:
    """Polygons [[x, y, x, y, …], …] in photo pixels, joined."""
    from pycocotools import mask

    merged: bytes = mask.merge(mask.frPyObjects(shape, *size))["counts"]
    return merged


def check_polygons(shape: list[Any], size: tuple[int, int], where: str) -> None:
    """Refuses what is no list of polygons, or would cost more to fill than it could be worth.

    Raises:
        MaskError: begins with `where`.
    """
    height, width = size
    for polygon in shape:
        good = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not good or not all(type(v) in (int, float) for v in polygon):
            raise MaskError(f"{where}: a polygon is [x, y, x, y, x, y, …], at least three points")
        xs, ys = polygon[::2], polygon[1::2]
        # Their walk is as long as the polygon: far-off points would take all memory.
        if not all(-width <= x <= 2 * width for x in xs):
            raise MaskError(
                f"{where}: a polygon reaches far outside the photo; x lies in 0-{width}"
            )
        if not all(-height <= y <= 2 * height for y in ys):
            raise MaskError(
                f"{where}: a polygon reaches far outside the photo; y lies in 0-{height}"
            )
        if _length(polygon) > bounds.OUTLINE:
            raise MaskError(f"{where}: a polygon runs along more than {bounds.OUTLINE} pixels")
    if not shape:
        raise MaskError(f"{where}: no polygon")


def outline(shape: object) -> float:
    """Pixels along all of a segment's polygons, which are checked; 0 for run lengths."""
    return sum(map(_length, shape)) if isinstance(shape, list) else 0


def _length(polygon: Sequence[float]) -> float:
    """Pixels along a closed outline [x, y, x, y, …]."""
    xs, ys = polygon[::2], polygon[1::2]
    points = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return sum(max(abs(x1 - x0), abs(y1 - y0)) for x0, y0, x1, y1 in points)


def run_lengths(shape: object, size: tuple[int, int], where: str) -> bytes:
    """Run lengths, as COCO's text or as numbers, checked and as COCO's text.

    Raises:
        MaskError: begins with `where`.
    """
    from pycocotools import mask

    if not isinstance(shape, dict) or not isinstance(shape.get("size"), list):
        raise MaskError(f"{where}: no segmentation; give polygons or {{size, counts}}")
    if len(shape["size"]) != 2 or not all(type(side) is int for side in shape["size"]):
        raise MaskError(f"{where}: size {shown(shape['size'])}; give [height, width]")
    check_size(tuple(shape["size"]), size, f"{where}: the segment")
    counts = shape.get("counts")
    if isinstance(counts, list):
        if not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != size[0] * size[1]:
            raise MaskError(f"{where}: run lengths that do not add up to the photo's pixels")
        coded: bytes = mask.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"]
        return coded
    if not isinstance(counts, str) or not counts.isascii():
        raise MaskError(f"{where}: counts are neither a list nor COCO's text")
    if not _adds_up(counts.encode(), size[0] * size[1]):
        raise MaskError(f"{where}: run lengths that do not add up to the photo's pixels")
    return counts.encode()


def _adds_up(counts: bytes, pixels: int) -> bool:
    """Whether COCO's text holds runs of exactly so many pixels, which its own tools do not check.

    Runs are written in 5 bits a character, from the third on as differences to the last but one.
    """
    runs: list[int] = []
    value = bits = 0
    for byte in counts:
        piece = byte - 48
        value |= (piece & 31) << bits
        bits += 5
        if bits > _LONGEST_RUN:
            return False
        if piece & 32:
            continue
        if piece & 16:  # negative
            value -= 1 << bits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if not 0 <= runs[-1] <= pixels:
            return False
        value = bits = 0
    return bits == 0 and sum(runs) == pixels
