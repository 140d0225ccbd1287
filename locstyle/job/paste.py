"""The way back into the photo, strip by strip, and what really happened to its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from locstyle.errors import PhotoError
from locstyle.photo import Part, Photo

if TYPE_CHECKING:
    from locstyle.masks import Mask
    from locstyle.photo import Canvas

_STRIP = 256  # columns enlarged at once, to bound memory
_BAND = 256  # rows compared at once


class Change(NamedTuple):
    """The share of pixels outside all masks that are the input's, None where there is no outside;
    and the mean absolute change inside, in [0, 1]."""

    outside_identical: float | None
    inside_change: float


def paste(photo: Photo, canvas: Canvas, work: Tensor, weight: Mask) -> Photo:
    """The photo with the working picture [3, ph, pw] enlarged and blended in by `weight`.

    Raises:
        PhotoError: the picture is not finite; nothing is pasted.
    """
    wrong = int((~torch.isfinite(work)).sum())
    if wrong:
        raise PhotoError(
            f"the styled picture holds {wrong} values that are not finite; nothing was pasted"
        )
    return photo.pasted_parts(_strips(canvas, work, weight))


def _strips(canvas: Canvas, work: Tensor, weight: Mask) -> Iterator[Part]:
    """Strips of columns, each with the rows that weigh anything; nothing else is enlarged."""
    first, top, last, bottom = weight.bounds
    strips = [(x, min(x + _STRIP, last)) for x in range(first, last, _STRIP)]
    held = [strip for strip in strips if weight.crop((strip[0], top, strip[1], bottom)).patch.any()]
    for (x0, x1), strip in zip(held, canvas.grow_columns(work, held), strict=True):
        own = weight.crop((x0, 0, x1, weight.size[0]))
        left, upper, right, lower = own.bounds
        styled = strip[:, upper:lower, left:right]
        yield Part((x0 + left, upper), styled, own.part(own.bounds))


def kept(before: Photo, after: Photo, weight: Mask) -> Change:
    """What pasting changed, measured on the result."""
    height, width = weight.size
    outside = same = change = 0
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        was, now = before.widened(after, rows), after.pixels[rows]
        away = cv2.absdiff(was, now).reshape(now.shape)  # OpenCV drops a last axis of one
        untouched = weight.part((0, top, width, rows.stop)).numpy() == 0
        differs = away[..., 0] != 0
        for channel in range(1, away.shape[2]):
            differs |= away[..., channel] != 0
        outside += int(np.count_nonzero(untouched))
        same += int(np.count_nonzero(untouched & ~differs))
        change += int(away[..., :3].sum(where=~untouched[..., None], dtype=np.int64))
    full = 2**after.depth - 1
    inside = height * width - outside
    return Change(same / outside if outside else None, change / max(3 * full * inside, 1))
