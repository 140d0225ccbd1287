"""Mask: how strongly each pixel of the photo belongs to a region."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from locstyle.errors import MaskError, PhotoError
from locstyle.masks import refine
from locstyle.masks.sizes import check_size, spoken
from locstyle.masks.values import Picture, grey, png, soften, values_of
from locstyle.photo import Photo, boxes
from locstyle.photo.boxes import Box

_BAND = 256  # rows looked at once, to bound memory


@dataclass(frozen=True, eq=False, init=False)
class Mask:
    """How strongly each pixel of a photo belongs to a region.

    Only the smallest part around all that is not 0 is held, as booleans where nothing is soft: a
    box of a hundredth of a photo costs a thousandth of its values.

    Attributes:
        patch: [h, w] float32 in [0, 1] or bool, on the CPU: the values inside `bounds`.
        corner: (x, y) of the patch in the photo, in pixels.
        size: (height, width) of the photo.
    """

    patch: Tensor
    corner: tuple[int, int]
    size: tuple[int, int]

    def __init__(
        self,
        values: Tensor,
        *,
        corner: tuple[int, int] = (0, 0),
        size: tuple[int, int] | None = None,
    ) -> None:
        """The mask of values [H, W] float32 or bool; or of those around `corner` of a photo of
        `size` (height, width), all others being 0."""
        if values.ndim != 2 or values.dtype not in (torch.float32, torch.bool):
            raise ValueError(f"Mask: float32 [H, W], got {values.dtype} {tuple(values.shape)}")
        size = (values.shape[0], values.shape[1]) if size is None else size
        patch, (x, y) = _trimmed(values)
        place = (corner[0] + x, corner[1] + y) if patch.numel() else (0, 0)
        for name, value in {"patch": patch, "corner": place, "size": size}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Mask({spoken(self.size)}, {self.area:.2%} inside)"

    @classmethod
    def from_image(cls, image: Picture, *, where: str = "mask") -> Self:
        """A mask from a picture or an array: white or 1 is inside, soft values stay soft.

        Booleans; integers over their whole range (0-255, 0-65535); floats in [0, 1]. Colours count
        by luminance. Alpha, where it varies, multiplies the luminance; a picture whose visible part
        is all one colour is read from its alpha alone, so painting on a transparent layer works.

        Raises:
            MaskError: no pixels, not finite, out of range, or covering nothing; names `where`.
        """
        values = values_of(image, where)
        if values.size == 0:
            raise MaskError(f"{where}: a mask of {spoken(values.shape)} pixels holds nothing")
        mask = cls(torch.from_numpy(values))
        if not mask.patch.numel():
            raise MaskError(
                f"{where}: the mask covers nothing (all black); paint what to edit white"
            )
        return mask

    @classmethod
    def box(
        cls, corners: tuple[int, int, int, int], size: tuple[int, int], *, where: str = "mask"
    ) -> Self:
        """The rectangle (x0, y0, x1, y1) of a photo (height, width), in pixels, the last exclusive.

        Raises:
            MaskError: inverted, empty, or reaching outside the photo.
        """
        (x0, y0, x1, y1), (height, width) = corners, size
        shown = f"box {x0},{y0},{x1},{y1}"
        if x0 >= x1 or y0 >= y1:
            raise MaskError(f"{where}: {shown} covers nothing; give left < right, top < bottom")
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise MaskError(
                f"{where}: {shown} reaches outside the photo of {spoken(size)} (width × height); "
                f"x lies in 0-{width}, y in 0-{height}"
            )
        inside = torch.ones(y1 - y0, x1 - x0, dtype=torch.bool)
        return cls(inside, corner=(x0, y0), size=size)

    @classmethod
    def everywhere(cls, size: tuple[int, int]) -> Self:
        """The whole photo of (height, width)."""
        return cls(torch.ones(size, dtype=torch.bool))

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], size: tuple[int, int], *, where: str = "mask"
    ) -> Self:
        """A mask file (see `from_image`), EXIF orientation applied, for a photo (height, width).

        Raises:
            MaskError: unreadable, of another size than the photo, or covering nothing.
        """
        try:
            pixels = Photo.open(path).pixels
        except PhotoError as error:
            raise MaskError(f"{where}: {error}") from error
        check_size(pixels.shape[:2], size, f"{where}: {Path(path).name!r}")
        return cls.from_image(pixels, where=f"{where}: {Path(path).name!r}")

    @property
    def values(self) -> Tensor:
        """All of it, [H, W] float32 in [0, 1]; made when asked for, so ask for a `part`."""
        return self.part((0, 0, self.size[1], self.size[0]))

    @property
    def bounds(self) -> Box:
        """The smallest (x0, y0, x1, y1) around all that is not 0, x1 and y1 exclusive."""
        (x, y), (height, width) = self.corner, self.patch.shape
        return x, y, x + width, y + height

    @property
    def is_hard(self) -> bool:
        """Whether every value is 0 or 1."""
        return self.patch.dtype == torch.bool

    @cached_property
    def area(self) -> float:
        """The share of the picture it covers, in [0, 1]; soft pixels count partly."""
        whole = self.size[0] * self.size[1]
        if self.is_hard:
            return int(torch.count_nonzero(self.patch)) / whole
        return float(self.patch.sum(dtype=torch.float64)) / whole

    @cached_property
    def sha256(self) -> str:
        """Digest of size and values."""
        found = hashlib.sha256(f"{self.size} ".encode())
        height, width = self.size
        _, top, _, bottom = self.bounds
        empty = memoryview(bytes(4 * width * min(_BAND, height)))
        for start in range(0, height, _BAND):
            stop = min(start + _BAND, height)
            if start < bottom and stop > top:
                part = self.part((0, start, width, stop))
                found.update(part.contiguous().numpy().data)
            else:
                found.update(empty[: 4 * width * (stop - start)])
        return found.hexdigest()

    @property
    def image(self) -> Image.Image:
        """The mask as a grey picture, white inside."""
        picture = np.zeros(self.size, np.uint8)
        picture[boxes.slices(self.bounds)] = grey(self.patch)
        return Image.fromarray(picture)

    def _repr_png_(self) -> bytes:
        return png(self.image)

    def part(self, box: Box) -> Tensor:
        """The values inside a box (x0, y0, x1, y1) of the photo, [h, w] float32, not to be
        written to."""
        return self._held(box).float()

    def crop(self, box: Box) -> Mask:
        """The mask of the photo's part inside a box (x0, y0, x1, y1)."""
        (x0, y0, x1, y1), common = box, boxes.common(box, self.bounds)
        corner = common[0] - x0, common[1] - y0
        return Mask(self._held(common), corner=corner, size=(y1 - y0, x1 - x0))

    def above(self, threshold: float) -> Mask:
        """The hard mask of all values greater than `threshold`."""
        if threshold < 0:
            return Mask.everywhere(self.size)
        return self._with(self.patch > threshold, self.corner)

    def invert(self) -> Mask:
        """What this mask leaves out."""
        return Mask.everywhere(self.size) - self

    def feather(self, pixels: float) -> Mask:
        """The mask with its edges softened over `pixels` to both sides; the edge stays at one half.

        Exactly 0 more than ceil(pixels) outside the mask and exactly 1 more than that inside, along
        rows and columns; no fading at the picture's border. What is thinner than `pixels` gets
        fainter, never wider than stated.
        """
        refine.check_pixels("feather", pixels, self.size)
        box = boxes.grown(self.bounds, ceil(pixels), self.size)
        return self._with(torch.from_numpy(soften(self.part(box).numpy(), pixels)), box[:2])

    def grow(self, pixels: float) -> Mask:
        """The mask and all within `pixels` of it (Euclidean); soft edges are moved as they are.

        Raises:
            MaskError: for this and all below: not 0 to the longer side.
        """
        return self._moved(refine.grow, pixels)

    def shrink(self, pixels: float) -> Mask:
        """What lies further than `pixels` from all outside; the picture's border is no edge."""
        return self._moved(refine.shrink, pixels)

    def smooth(self, pixels: float) -> Mask:
        """The edge without ragged detail finer than `pixels`; what is thinner goes."""
        return self._moved(refine.smooth, pixels)

    def fill(self) -> Mask:
        """The mask without holes; its outer edge stays as soft as it is."""
        return self._with(refine.fill(self.part(self.bounds).numpy()), self.corner)

    def largest(self, count: int = 1) -> Mask:
        """Its `count` largest connected pieces, with their soft rims."""
        if count < 1 or count != int(count):
            raise MaskError(f"largest: got {count!r}; give how many pieces to keep, 1 or more")
        return self._with(refine.largest(self.part(self.bounds).numpy(), int(count)), self.corner)

    def snap(self, photo: Photo | NDArray[Any], pixels: float = 8) -> Mask:
        """The edge drawn to the photo's own edges within `pixels`, by a guided filter.

        Args:
            photo: the photo, or its pixels [H, W, C] uint8 or uint16.

        Raises:
            MaskError: the photo has another size.
        """
        shown = _shown(photo) if isinstance(photo, Photo) else photo
        check_size(self.size, shown.shape[:2], "snap: the mask")
        refine.check_pixels("snap", pixels, self.size)
        return self._with(refine.snap(self.values.numpy(), shown, pixels))

    def __or__(self, other: Mask) -> Mask:
        self._check(other)
        box = boxes.around(self.bounds, other.bounds)
        return self._with(torch.maximum(self._held(box), other._held(box)), box[:2])

    def __and__(self, other: Mask) -> Mask:
        self._check(other)
        box = boxes.common(self.bounds, other.bounds)
        return self._with(torch.minimum(self._held(box), other._held(box)), box[:2])

    def __sub__(self, other: Mask) -> Mask:
        self._check(other)
        box = boxes.common(self.bounds, other.bounds)
        if boxes.is_empty(box):
            return self
        taken = other._held(box)
        left = ~taken if other.is_hard else 1 - taken
        patch = self.patch.clone() if other.is_hard or not self.is_hard else self.patch.float()
        inner = patch[boxes.slices(box, self.corner)]
        inner.copy_(torch.minimum(inner, left))
        return self._with(patch, self.corner)

    def __invert__(self) -> Mask:
        return self.invert()

    def _held(self, box: Box) -> Tensor:
        """The values inside a box as they are held, booleans where nothing is soft."""
        x0, y0, x1, y1 = box
        if (x0, y0, x1, y1) == self.bounds:
            return self.patch
        held = torch.zeros(y1 - y0, x1 - x0, dtype=self.patch.dtype)
        common = boxes.common(box, self.bounds)
        held[boxes.slices(common, (x0, y0))] = self.patch[boxes.slices(common, self.corner)]
        return held

    def _moved(self, move: Callable[[NDArray[np.float32], float], Any], pixels: float) -> Mask:
        refine.check_pixels(move.__name__, pixels, self.size)
        return self._with(move(self.values.numpy(), pixels))

    def _with(self, values: Tensor | NDArray[np.float32], corner: tuple[int, int] = (0, 0)) -> Mask:
        patch = values if isinstance(values, Tensor) else torch.from_numpy(values)
        return Mask(patch, corner=corner, size=self.size)

    def _check(self, other: Mask) -> None:
        check_size(other.size, self.size, "the other mask", of="this one")


def read_mask(source: Mask | Picture, photo: Photo, *, where: str) -> Mask:
    """The mask a user holds in memory, checked against its photo.

    Raises:
        MaskError: begins with `where`, e.g. "regions[1].mask".
    """
    mask = source if isinstance(source, Mask) else Mask.from_image(source, where=where)
    check_size(mask.size, photo.size, f"{where}: the mask")
    if not mask.patch.numel() or not bool(torch.isfinite(mask.patch).all()):
        raise MaskError(
            f"{where}: the mask covers nothing or is not finite; paint what to edit white"
        )
    return mask


def _shown(photo: Photo) -> NDArray[Any]:
    """Pixels [H, W, C] in the working space, whose edges are the same in every profile."""
    return photo.pixels if photo.space is None else np.asarray(photo.srgb)


def _trimmed(values: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """The smallest part around all that is not 0, as booleans if it is hard, and its corner."""
    if values.dtype != torch.bool and _is_hard(values):
        values = values != 0
    touched = values if values.dtype == torch.bool else values != 0
    x, y, width, height = cv2.boundingRect(touched.numpy().view(np.uint8))
    if (height, width) == values.shape:
        return values, (0, 0)
    # A copy, so that the rest is not kept.
    return values[y : y + height, x : x + width].clone(), (x, y)


def _is_hard(values: Tensor) -> bool:
    rows = range(0, len(values), _BAND)
    return all(refine.is_hard(values[top : top + _BAND].numpy()) for top in rows)
