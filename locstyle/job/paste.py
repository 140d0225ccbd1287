"""The way back into the photo, strip by strip, and what really happened to its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from locstyle.errors import PhotoError
from locstyle.masks import Mask
from locstyle.photo import Patch, Photo

if TYPE_CHECKING:
    from locstyle.photo import Canvas

_STRIP = 256  # columns enlarged at once, to bound memory
_BAND = 256  # rows compared at once


class Change(NamedTuple):
    """The share of pixels outside all masks that are the input's, None where there is no outside;
    and the mean absolute change inside, in [0, 1]."""

    outside_identical: float | None
    inside_change: float


@dataclass(frozen=True, eq=False)
class Piece:
    """What is pasted of a frame: its working picture [3, ph, pw], and the `weight` of its regions
    in its window."""

    canvas: Canvas
    work: Tensor
    weight: Mask

    @property
    def placed(self) -> Mask:
        """The weight in the photo."""
        (x, y), (left, top) = self.weight.corner, self.canvas.box[:2]
        corner = left + x, top + y
        return Mask(self.weight.patch, corner=corner, size=self.canvas.photo)


Grain = Callable[[Piece], Tensor]
"""What is added to a piece's window before it is blended in, [1, h, w]."""


def paste(photo: Photo, pieces: Sequence[Piece], grain: Grain | None = None) -> Photo:
    """The photo with all pieces enlarged and blended in by their weights, which sum to at most 1.

    Raises:
        PhotoError: a picture is not finite; nothing is pasted.
    """
    for piece in pieces:
        wrong = int((~torch.isfinite(piece.work)).sum())
        if wrong:
            raise PhotoError(
                f"the styled picture holds {wrong} values that are not finite; nothing was pasted"
            )
    shares = [_share(piece, pieces[number + 1 :]) for number, piece in enumerate(pieces)]
    patches = (
        patch
        for piece, share in zip(pieces, shares, strict=True)
        for patch in _strips(piece, share, grain(piece) if grain else None)
    )
    return photo.patched(patches)


def _share(piece: Piece, later: Sequence[Piece]) -> Mask:
    """What a piece has of what later ones leave: blended in turn, all get their weight."""
    weight = piece.placed
    left = torch.ones(())
    for other in later:
        covered = other.placed.part(weight.bounds)
        if bool(covered.any()):
            left = left - covered
    if left.ndim == 0:
        return piece.weight
    own = weight.part(weight.bounds)
    share = torch.where(own > 0, (own / left.clamp_min(1e-6)).clamp(max=1), own)
    return Mask(share, corner=piece.weight.corner, size=piece.weight.size)


def _strips(piece: Piece, weight: Mask, grain: Tensor | None) -> Iterator[Patch]:
    """Strips of columns, each with the rows that weigh anything; nothing else is enlarged."""
    (x, y), canvas = piece.canvas.box[:2], piece.canvas
    first, top, last, bottom = weight.bounds
    strips = [(x0, min(x0 + _STRIP, last)) for x0 in range(first, last, _STRIP)]
    held = [strip for strip in strips if weight.crop((strip[0], top, strip[1], bottom)).patch.any()]
    for (x0, x1), strip in zip(held, canvas.grow_columns(piece.work, held), strict=True):
        own = weight.crop((x0, 0, x1, weight.size[0]))
        left, upper, right, lower = own.bounds
        styled = strip[:, upper:lower, left:right]
        if grain is not None:
            styled = styled + grain[:, upper:lower, x0 + left : x0 + right]
        yield Patch((x + x0 + left, y + upper), styled, own.part(own.bounds))


def kept(before: Photo, after: Photo, weight: Mask) -> Change:
    """What pasting changed, measured on the result."""
    (height, width), full = weight.size, 2**after.depth - 1
    outside = same = 0
    change = 0.0
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        was, now = before.widened(after, rows), after.pixels[rows]
        away = cv2.absdiff(was, now).reshape(now.shape)  # OpenCV drops a last axis of one
        untouched = weight.part((0, top, width, rows.stop)).numpy() == 0
        differs = away[..., 0] != 0
        for channel in range(1, away.shape[2]):
            differs |= away[..., channel] != 0
        wrong = untouched & differs
        outside += int(np.count_nonzero(untouched))
        same += int(np.count_nonzero(untouched)) - int(np.count_nonzero(wrong))
        if before.space is None:
            beyond = float(away[wrong][:, :3].sum())  # what changed where nothing should
            change += (sum(cv2.sumElems(away)[:3]) - beyond) / full
        else:  # as it is seen, not as the profile numbers it
            seen = (after.working(rows) - before.working(rows)).abs_()
            change += float(seen.numpy().sum(where=~untouched, dtype=np.float64))
    inside = height * width - outside
    return Change(same / outside if outside else None, change / max(3 * inside, 1))
