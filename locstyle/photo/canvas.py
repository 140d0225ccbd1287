"""Canvas: the size a backbone works at, and the way from the photo there and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.errors import RecipeError


@dataclass(frozen=True)
class Canvas:
    """Three sizes, all (height, width): the photo, its scaled content, and the padded whole.

    The content keeps the photo's aspect to within rounding and lies at the top left; the padding
    below and to the right of it mirrors the content.
    """

    photo: tuple[int, int]
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
                f"size: got {size!r}; a side or (height, width), each at least 1 pixel"
            )
        height, width = photo_size
        if len(sides) == 2:
            scale = min(sides[0] / height, sides[1] / width)
        else:
            scale = _scale_to_area(photo_size, sides[0], multiple)
        content = max(1, round(height * scale)), max(1, round(width * scale))
        padded = ceil(content[0] / multiple) * multiple, ceil(content[1] / multiple) * multiple
        return cls(photo_size, content, padded)

    def shrink(self, picture: Tensor) -> Tensor:
        """The picture [C, H, W] in [0, 1] at working size [C, ph, pw], antialiased and padded."""
        return self._pad(resize(picture, self.content))

    def grow(self, work: Tensor) -> Tensor:
        """The working picture [C, ph, pw], padding cut off, at the photo's size [C, H, W]."""
        height, width = self.content
        return resize(work[:, :height, :width], self.photo)

    def shrink_areas(self, values: Tensor) -> Tensor:
        """Values [R, H, W] averaged over areas to [R, ph, pw]; what summed to 1 still does."""
        return self._pad(average(values, self.content))

    def _pad(self, picture: Tensor) -> Tensor:
        rows = _mirrored(self.content[0], self.padded[0])
        columns = _mirrored(self.content[1], self.padded[1])
        return picture[:, rows][:, :, columns]


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
    work = picture[None].float()
    scaled = F.interpolate(work, size=size, mode="bicubic", antialias=True, align_corners=False)
    return scaled[0].clamp(0, 1).to(picture.dtype)


def average(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Values [R, H, W] averaged over the exact area of each new pixel, whatever the sizes.

    Means are kept, and planes that sum to 1 still do.
    """
    if tuple(values.shape[1:]) == size:
        return values
    planes = [_binned(_binned(plane.double(), 0, size[0]), 1, size[1]) for plane in values]
    return torch.stack(planes).clamp(0, 1).to(values.dtype)


def _binned(plane: Tensor, axis: int, parts: int) -> Tensor:
    """Means over `parts` equal stretches of an axis, whose borders may cut old pixels."""
    length = plane.shape[axis]
    # Differences of running sums: exactly 0 over zeros, and no cost per kernel size.
    sums = F.pad(plane.cumsum(axis), (0, 0, 1, 0) if axis == 0 else (1, 0))
    edges = torch.arange(parts + 1, dtype=torch.float64) * length / parts
    left = edges.long().clamp(max=length - 1)
    share = (edges - left)[:, None] if axis == 0 else edges - left
    at_edges = torch.lerp(sums.index_select(axis, left), sums.index_select(axis, left + 1), share)
    return at_edges.diff(dim=axis) * (parts / length)
