"""Canvas: a window of the photo at the size a backbone works at, and the way there and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from locstyle.errors import RecipeError
from locstyle.photo.boxes import Box


@dataclass(frozen=True)
class Canvas:
    """A window of the photo and its working picture.

    `photo` is the photo's (height, width), `box` the window; `content` the (height, width) the
    window is scaled to, `padded` that of the whole working picture. The content keeps the window's
    aspect to within rounding and lies at the top left; the padding below and to the right of it
    mirrors the content.
    """

    photo: tuple[int, int]
    box: Box
    content: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def fit(
        cls,
        photo_size: tuple[int, int],
        *,
        size: int | tuple[int, int] | None,
        native: int,
        multiple: int,
    ) -> Self:
        """The canvas of a photo.

        Args:
            photo_size: (height, width) of the photo.
            size: None for an area of about native² pixels, an int for about size², (height, width)
                to fit inside. A strip thinner than `multiple` counts as that wide, so that padding
                does not multiply the area.
            native: image side in pixels the backbone was trained at.
            multiple: both padded sides are multiples of it.

        Raises:
            RecipeError: a size that is not positive.
        """
        sides = size if isinstance(size, tuple) else (native if size is None else size,)
        if min(sides) < 1 or len(sides) > 2:
            raise RecipeError(
                f"got {size!r}; a side or (height, width), each at least 1 pixel", place="size"
            )
        height, width = photo_size
        if len(sides) == 2:
            scale = min(sides[0] / height, sides[1] / width)
        else:
            scale = _scale_to_area(photo_size, sides[0], multiple)
        content = max(1, round(height * scale)), max(1, round(width * scale))
        box = (0, 0, width, height)
        return cls(photo_size, box, content, _padded(content, multiple))

    @classmethod
    def scaled(cls, photo_size: tuple[int, int], box: Box, *, scale: float, multiple: int) -> Self:
        """The canvas of the window `box` at `scale` working pixels a photo pixel.

        The window grows, as far as the photo reaches, to what fills the working picture: context
        is worth more than padding.
        """
        height, width = photo_size
        x0, x1 = _filled(box[0], box[2], width, scale, multiple)
        y0, y1 = _filled(box[1], box[3], height, scale, multiple)
        content = max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale))
        return cls(photo_size, (x0, y0, x1, y1), content, _padded(content, multiple))

    @classmethod
    def of(
        cls, photo_size: tuple[int, int], box: Box, content: tuple[int, int], multiple: int
    ) -> Self:
        """The canvas of the window `box` scaled to `content`."""
        return cls(photo_size, box, content, _padded(content, multiple))

    @property
    def size(self) -> tuple[int, int]:
        """The window's (height, width) in photo pixels."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    @property
    def scale(self) -> float:
        """Working pixels a photo pixel."""
        return sqrt(self.content[0] * self.content[1] / (self.size[0] * self.size[1]))

    @property
    def is_whole(self) -> bool:
        """Whether the window is the whole photo."""
        return self.size == self.photo

    def shrink(self, picture: Tensor) -> Tensor:
        """The window's picture [C, h, w] in [0, 1] at working size [C, ph, pw], antialiased and
        padded."""
        return self.shrink_bands([picture])

    def shrink_bands(self, bands: Iterable[Tensor]) -> Tensor:
        """The same of a picture whose rows [C, h, w] come one band after another."""
        narrow = [_interpolated(band.float(), (band.shape[1], self.content[1])) for band in bands]
        return self.pad(_interpolated(torch.cat(narrow, 1), self.content).clamp(0, 1))

    def grow(self, work: Tensor) -> Tensor:
        """The working picture [C, ph, pw], padding cut off, at the window's size [C, h, w]."""
        height, width = self.content
        return resize(work[:, :height, :width], self.size)

    def grow_columns(self, work: Tensor, columns: Iterable[tuple[int, int]]) -> Iterator[Tensor]:
        """Strips [C, h, w] of `grow`, of columns (first, last exclusive), made one by one."""
        height, width = self.content
        wide = _interpolated(work[:, :height, :width], (height, self.size[1]))
        for first, last in columns:
            strip = _interpolated(wide[:, :, first:last], (self.size[0], last - first))
            yield strip.clamp(0, 1)

    def shrink_areas(self, values: Tensor) -> Tensor:
        """The window's values [R, h, w] averaged over areas to [R, ph, pw]; what summed to 1 still
        does."""
        return self.pad(average(values, self.content))

    def pad(self, picture: Tensor) -> Tensor:
        """A picture or planes of the content's size [C, h, w], mirrored out to [C, ph, pw]."""
        rows = _mirrored(self.content[0], self.padded[0])
        columns = _mirrored(self.content[1], self.padded[1])
        return picture[:, rows][:, :, columns]


def _padded(content: tuple[int, int], multiple: int) -> tuple[int, int]:
    return ceil(content[0] / multiple) * multiple, ceil(content[1] / multiple) * multiple


def _filled(start: int, stop: int, length: int, scale: float, multiple: int) -> tuple[int, int]:
    """The stretch grown, within `length`, to what scales to a multiple."""
    working = ceil(max(1, round((stop - start) * scale)) / multiple) * multiple
    wanted = min(length, max(stop - start, round(working / scale)))
    start = min(max(0, start - (wanted - (stop - start)) // 2), length - wanted)
    return start, start + wanted


def _scale_to_area(photo_size: tuple[int, int], side: int, multiple: int) -> float:
    height, width = photo_size
    scale = side / sqrt(height * width)
    if min(photo_size) * scale < multiple:
        # Padding makes the thin side `multiple`: let the long one take the rest of the area.
        scale = min(scale, side * side / (multiple * max(photo_size)))
    return scale


def _mirrored(length: int, padded: int) -> Tensor:
    """Where each of the padded positions comes from; the edge, repeated, if mirroring runs out."""
    places = torch.arange(padded)
    if padded - length < length:
        return torch.where(places < length, places, 2 * length - 2 - places)
    return places.clamp(max=length - 1)


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture [C, H, W] in [0, 1] resized: bicubic, antialiased when shrinking, clipped."""
    if tuple(picture.shape[1:]) == size:
        return picture
    return _interpolated(picture.float(), size).clamp(0, 1).to(picture.dtype)


def _interpolated(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture [C, H, W] float32 resized as by `resize`, but not clipped.

    Columns first, then rows: what is resized band by band or strip by strip comes out the same.
    """
    if tuple(picture.shape[1:]) == size:
        return picture
    return F.interpolate(
        picture[None], size=size, mode="bicubic", antialias=True, align_corners=False
    )[0]


def average(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Values [R, H, W] averaged over the exact area of each new pixel, whatever the sizes.

    Means are kept, and planes that sum to 1 still do.
    """
    if tuple(values.shape[1:]) == size:
        return values
    planes = [_binned(_binned(plane.double(), 0, size[0]), 1, size[1]) for plane in values]
    return torch.stack(planes).clamp(0, 1).to(values.dtype)


class Means:
    """What `average` makes of one plane [H, W] whose rows come one after another.

    A row of running sums is held, in `columns` (first, last exclusive) of the plane; its values
    beside these are 0, and those of rows that never come are `unsaid`.
    """

    def __init__(
        self,
        size: tuple[int, int],
        parts: tuple[int, int],
        columns: tuple[int, int],
        unsaid: float = 0.0,
    ) -> None:
        self._size, self._parts, self._columns, self._unsaid = size, parts, columns, unsaid
        self._left, self._share = _edges(size[0], parts[0])
        self._wanted = {*self._left.tolist(), *(self._left + 1).tolist()}
        self._sums = np.zeros(columns[1] - columns[0])
        self._kept: dict[int, NDArray[np.float64]] = {}  # the sums of all rows above some
        self._row = self._edge = 0  # the next of each
        self._above: Tensor | None = None  # the sums at the last edge
        self._means: list[Tensor] = []

    def add(self, values: NDArray[np.float32], top: int) -> None:
        """Rows [h, columns] that begin with row `top`, below all that were added before."""
        self._skip_to(top)
        for row in values:
            self._next(row)
        self._flush()

    def finished(self) -> Tensor:
        """The means [h, w] float32, in [0, 1]."""
        self._skip_to(self._size[0])
        self._kept[self._row] = self._sums
        self._flush()
        return torch.cat(self._means)

    def _skip_to(self, top: int) -> None:
        for _ in range(self._row, top):
            self._next(self._unsaid)

    def _next(self, row: NDArray[np.float32] | float) -> None:
        if self._row in self._wanted:
            self._kept[self._row] = self._sums.copy()
        self._sums += row
        self._row += 1

    def _flush(self) -> None:
        """Turns all stretches that are complete into means, and drops their sums."""
        stop = int(((self._left + 1) <= max(self._kept, default=-1)).sum())
        if stop <= self._edge:
            return
        left = self._left[self._edge : stop].tolist()
        low, high = (
            torch.from_numpy(np.stack([self._kept[at + below] for at in left])) for below in (0, 1)
        )
        at_edges = torch.lerp(low, high, self._share[self._edge : stop, None])
        known = at_edges if self._above is None else torch.cat([self._above, at_edges])
        rows = torch.zeros(len(known) - 1, self._size[1], dtype=torch.float64)
        rows[:, slice(*self._columns)] = known.diff(dim=0) * (self._parts[0] / self._size[0])
        self._means.append(_binned(rows, 1, self._parts[1]).clamp(0, 1).float())
        self._above, self._edge = known[-1:], stop
        self._kept = {row: sums for row, sums in self._kept.items() if row >= left[-1]}


def _binned(plane: Tensor, axis: int, parts: int) -> Tensor:
    """Means over `parts` equal stretches of an axis, whose borders may cut old pixels."""
    length = plane.shape[axis]
    # Differences of running sums: exactly 0 over zeros, and no cost per kernel size.
    sums = F.pad(plane.cumsum(axis), (0, 0, 1, 0) if axis == 0 else (1, 0))
    left, share = _edges(length, parts)
    share = share[:, None] if axis == 0 else share
    at_edges = torch.lerp(sums.index_select(axis, left), sums.index_select(axis, left + 1), share)
    return at_edges.diff(dim=axis) * (parts / length)


def _edges(length: int, parts: int) -> tuple[Tensor, Tensor]:
    """The borders of `parts` equal stretches: the old pixel each lies in, and how far into it."""
    edges = torch.arange(parts + 1, dtype=torch.float64) * length / parts
    left = edges.long().clamp(max=length - 1)
    return left, edges - left
