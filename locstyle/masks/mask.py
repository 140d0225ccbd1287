"""Mask and Partition: who owns which pixel of the photo, softly."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from locstyle.errors import MaskError, PhotoError
from locstyle.masks import refine
from locstyle.masks.values import Picture, bounds, soften, values_of
from locstyle.photo import Photo
from locstyle.photo.canvas import Canvas, average

_PALETTE = (
    (128, 128, 128),
    (230, 80, 60),
    (60, 140, 230),
    (90, 190, 90),
    (240, 190, 50),
    (160, 90, 200),
)


@dataclass(frozen=True, eq=False)
class Mask:
    """How strongly each pixel of a photo belongs to a region.

    Attributes:
        values: [H, W] float32 in [0, 1] on the CPU; 1 is wholly inside.
    """

    values: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != torch.float32:
            raise ValueError(
                f"Mask: float32 [H, W], got {self.values.dtype} {tuple(self.values.shape)}"
            )

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
            raise MaskError(f"{where}: a mask of {_spoken(values.shape)} pixels holds nothing")
        if not values.any():
            raise MaskError(
                f"{where}: the mask covers nothing (all black); paint what to edit white"
            )
        return cls(torch.from_numpy(values.astype(np.float32)))

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
                f"{where}: {shown} reaches outside the photo of {_spoken(size)} (width × height); "
                f"x lies in 0-{width}, y in 0-{height}"
            )
        values = torch.zeros(size)
        values[y0:y1, x0:x1] = 1
        return cls(values)

    @classmethod
    def everywhere(cls, size: tuple[int, int]) -> Self:
        """The whole photo of (height, width)."""
        return cls(torch.ones(size))

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
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def area(self) -> float:
        """The share of the picture it covers, in [0, 1]; soft pixels count partly."""
        return float(self.values.mean(dtype=torch.float64))

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """The smallest (x0, y0, x1, y1) around all that is not 0, x1 and y1 exclusive."""
        return bounds(self.values)

    @property
    def sha256(self) -> str:
        """Digest of size and values."""
        head = f"{self.size} ".encode()
        return hashlib.sha256(head + self.values.contiguous().numpy().tobytes()).hexdigest()

    @property
    def image(self) -> Image.Image:
        """The mask as a grey picture, white inside."""
        return Image.fromarray(_bytes(self.values))

    def _repr_png_(self) -> bytes:
        return _png(self.image)

    def above(self, threshold: float) -> Mask:
        """The hard mask of all values greater than `threshold`."""
        return Mask((self.values > threshold).float())

    def invert(self) -> Mask:
        """What this mask leaves out."""
        return Mask(1 - self.values)

    def feather(self, pixels: float) -> Mask:
        """The mask with its edges softened over `pixels` to both sides; the edge stays at one half.

        Exactly 0 more than ceil(pixels) outside the mask and exactly 1 more than that inside, along
        rows and columns; no fading at the picture's border. What is thinner than `pixels` gets
        fainter, never wider than stated.
        """
        return Mask(soften(self.values, pixels))

    def grow(self, pixels: float) -> Mask:
        """The mask and all within `pixels` of it (Euclidean); soft edges are moved as they are.

        Raises:
            MaskError: for this and all below: not 0 to the longer side.
        """
        return self._moved("grow", pixels)

    def shrink(self, pixels: float) -> Mask:
        """What lies further than `pixels` from all outside; the picture's border is no edge."""
        return self._moved("shrink", pixels)

    def smooth(self, pixels: float) -> Mask:
        """The edge without ragged detail finer than `pixels`; what is thinner goes."""
        return self._moved("smooth", pixels)

    def fill(self) -> Mask:
        """The mask without holes; its outer edge stays as soft as it is."""
        return self._with(refine.fill(self.values.numpy()))

    def largest(self, count: int = 1) -> Mask:
        """Its `count` largest connected pieces, with their soft rims."""
        if count < 1 or count != int(count):
            raise MaskError(f"largest: got {count!r}; give how many pieces to keep, 1 or more")
        return self._with(refine.largest(self.values.numpy(), int(count)))

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
        return Mask(torch.maximum(self.values, self._like(other)))

    def __and__(self, other: Mask) -> Mask:
        return Mask(torch.minimum(self.values, self._like(other)))

    def __sub__(self, other: Mask) -> Mask:
        return Mask(torch.minimum(self.values, 1 - self._like(other)))

    def __invert__(self) -> Mask:
        return self.invert()

    def _moved(self, name: str, pixels: float) -> Mask:
        refine.check_pixels(name, pixels, self.size)
        return self._with(getattr(refine, name)(self.values.numpy(), pixels))

    def _with(self, values: NDArray[np.float32]) -> Mask:
        return Mask(torch.from_numpy(values))

    def _like(self, other: Mask) -> Tensor:
        """The values of a mask that must be of this one's size."""
        check_size(other.size, self.size, "the other mask", of="this one")
        return other.values


@dataclass(frozen=True, eq=False)
class Partition:
    """Who owns each pixel: all regions and the remainder, summing to 1 everywhere.

    Attributes:
        values: [R+1, H, W] float32 in [0, 1] on the CPU; index 0 is what no region owns.
    """

    values: Tensor

    @classmethod
    def of(cls, masks: Sequence[Mask], size: tuple[int, int] | None = None) -> Self:
        """The partition by masks where later ones lie on top.

        Region r owns mask_r · Π over k > r of (1 - mask_k), nobody owns Π (1 - mask).

        Args:
            size: (height, width); needed only without masks.

        Raises:
            MaskError: masks of different sizes.
        """
        if size is None:
            if not masks:
                raise ValueError("Partition.of: no masks, so say the size")
            size = masks[0].size
        values = torch.ones((len(masks) + 1, *size))
        rest = values[0]  # ends as what no region owns
        for index in range(len(masks) - 1, -1, -1):
            mask = masks[index]
            check_size(mask.size, size, f"regions[{index}].mask")
            torch.mul(mask.values, rest, out=values[index + 1])
            rest.mul_(1 - mask.values)
        return cls(values)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def regions(self) -> int:
        """How many regions, the remainder not counted."""
        return self.values.shape[0] - 1

    @property
    def outside(self) -> Tensor:
        """What no region owns, [H, W]."""
        return self.values[0]

    @property
    def weight(self) -> Tensor:
        """What any region owns, [H, W]: exactly 0 where nothing may change, for `Photo.pasted`."""
        return 1 - self.values[0]

    def at(self, height: int, width: int) -> Tensor:
        """The partition averaged over areas, [R+1, height, width]; still sums to 1 everywhere."""
        return average(self.values, (height, width))

    def on(self, canvas: Canvas) -> Partition:
        """The partition of the padded canvas, for the sizes a backbone works at."""
        return Partition(canvas.shrink_areas(self.values))

    def feather(self, pixels: float | Sequence[float]) -> Partition:
        """All borders softened as by `Mask.feather`, and still a partition.

        Where two regions touch, they fade into each other and the remainder does not shine through,
        as it does when masks are feathered one by one. `pixels` may give each region its own width;
        where widths differ, what they leave over or claim twice is shared out in proportion.
        """
        widths = [pixels] * self.regions if isinstance(pixels, int | float) else list(pixels)
        widths = [max(widths, default=0.0), *widths]
        planes = [soften(p, width) for p, width in zip(self.values, widths, strict=True)]
        softened = torch.stack(planes)
        return Partition(softened / softened.sum(0))

    @property
    def image(self) -> Image.Image:
        """One colour per region, the remainder grey."""
        colours = [
            _PALETTE[0] if i == 0 else _PALETTE[1 + (i - 1) % 5] for i in range(self.regions + 1)
        ]
        return Image.fromarray(
            _bytes(torch.einsum("rhw,rc->hwc", self.values, torch.tensor(colours) / 255))
        )

    def _repr_png_(self) -> bytes:
        return _png(self.image)


def read_mask(source: Mask | Picture, photo: Photo, *, where: str) -> Mask:
    """The mask a user holds in memory, checked against its photo.

    Raises:
        MaskError: begins with `where`, e.g. "regions[1].mask".
    """
    mask = source if isinstance(source, Mask) else Mask.from_image(source, where=where)
    check_size(mask.size, photo.size, f"{where}: the mask")
    if not bool(torch.isfinite(mask.values).all()) or not bool(mask.values.any()):
        raise MaskError(
            f"{where}: the mask covers nothing or is not finite; paint what to edit white"
        )
    return mask


def check_size(
    size: tuple[int, ...], wanted: tuple[int, ...], what: str, *, of: str = "the photo"
) -> None:
    if tuple(size) == tuple(wanted):
        return
    hint = (
        "it looks turned by a quarter"
        if tuple(size) == tuple(wanted)[::-1]
        else "scale one to the other"
    )
    raise MaskError(
        f"{what} is {_spoken(size)} but {of} is {_spoken(wanted)} (width × height); {hint}"
    )


def _spoken(size: Sequence[int]) -> str:
    return f"{size[1]} × {size[0]}"


def _shown(photo: Photo) -> NDArray[Any]:
    """Pixels [H, W, C] in the working space, whose edges are the same in every profile."""
    return photo.pixels if photo.space is None else np.asarray(photo.srgb)


def _bytes(values: Tensor) -> NDArray[np.uint8]:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.thumbnail((768, 768))
    image.save(buffer, "PNG")
    return buffer.getvalue()
