"""Boxes (x0, y0, x1, y1) in photo pixels, the last exclusive: what two share, what lies around."""

from __future__ import annotations

Box = tuple[int, int, int, int]
EMPTY: Box = (0, 0, 0, 0)


def is_empty(box: Box) -> bool:
    """Whether no pixel lies inside."""
    return box[0] >= box[2] or box[1] >= box[3]


def common(one: Box, other: Box) -> Box:
    """What lies in both; the empty box where nothing does."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    box = left, top, min(one[2], other[2]), min(one[3], other[3])
    return EMPTY if is_empty(box) else box


def around(*boxes: Box) -> Box:
    """The smallest box around all of them."""
    filled = [box for box in boxes if not is_empty(box)]
    if not filled:
        return EMPTY
    left, top, right, bottom = zip(*filled, strict=True)
    return min(left), min(top), max(right), max(bottom)


def grown(box: Box, pixels: int, size: tuple[int, int]) -> Box:
    """The box and all within `pixels` of it, inside a photo of (height, width)."""
    if is_empty(box):
        return EMPTY
    left, top, right, bottom = box
    far = min(size[1], right + pixels), min(size[0], bottom + pixels)
    return max(0, left - pixels), max(0, top - pixels), *far


def slices(box: Box, corner: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
    """Rows and columns of a box in an array whose first pixel lies at `corner` (x, y)."""
    (x0, y0, x1, y1), (x, y) = box, corner
    return slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
