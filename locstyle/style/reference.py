"""Reference: a picture whose style is meant."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.photo import Photo
from locstyle.photo.canvas import average

if TYPE_CHECKING:
    from locstyle.masks import Mask

SIDE = 768
"""A reference has at most this number squared of pixels, so that style files stay small."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A picture whose style is meant, and which part of it.

    `pixels`: uint8 [H, W, 3], sRGB, upright. `area`: uint8 [H, W], 255 where the style is taken
    from, soft in between; None takes it from everywhere.
    """

    pixels: Tensor
    area: Tensor | None = None

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        return f"Reference({width} × {height}{'' if self.area is None else ', a part of it'})"

    def __post_init__(self) -> None:
        shape, area = tuple(self.pixels.shape), self.area
        if self.pixels.dtype != torch.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise StyleError(
                f"reference: {self.pixels.dtype} {shape}; give uint8 [height, width, 3]"
            )
        if area is not None and (area.dtype != torch.uint8 or tuple(area.shape) != shape[:2]):
            raise StyleError(
                f"reference: its area is {area.dtype} {tuple(area.shape)}; give uint8 {shape[:2]}"
            )
        if area is not None and not area.any():
            raise StyleError("reference: its area covers nothing; there is no style to take")

    @classmethod
    def of(
        cls, picture: Photo | Image.Image, area: Mask | None = None, *, side: int = SIDE
    ) -> Self:
        """The reference of a picture at about `side`² pixels, or at its own size if that is less.

        It is turned upright and converted to sRGB, 8 bit. What is transparent belongs to no area
        and is filled with the mean of what is seen.

        Args:
            area: of the picture's size; where to take the style from.

        Raises:
            StyleError: an area of another size, or nothing that is both seen and in the area.
        """
        photo = picture if isinstance(picture, Photo) else Photo.from_image(picture)
        if area is not None and area.size != photo.size:
            raise StyleError(
                f"reference: its area has {area.size}, the picture {photo.size} (height, width)"
            )
        scale = min(1.0, side / math.sqrt(photo.size[0] * photo.size[1]))
        height, width = (max(1, round(length * scale)) for length in photo.size)
        small = photo.srgb.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)
        pixels = torch.from_numpy(np.array(small.convert("RGB")))
        seen = _seen(small)
        if seen is not None:
            pixels = _filled(pixels, seen)
        wanted = None if area is None else average(area.values[None], (height, width))[0]
        return cls(pixels, _area(seen, wanted))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def image(self) -> Image.Image:
        """The picture, as Pillow has it."""
        return Image.fromarray(self.pixels.numpy())

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.image.save(data, "PNG")
        return data.getvalue()


def style_picture(picture: Photo | Image.Image) -> Image.Image:
    """A picture as everything that learns or reads a style from it sees it: RGB, sRGB, 8 bit.

    What is transparent is filled with the mean of what is seen, so that colours hidden under it
    teach nothing. A plain RGB picture comes out as it is.

    Raises:
        PhotoError: a picture that is not read.
        StyleError: it is wholly transparent.
    """
    photo = picture if isinstance(picture, Photo) else Photo.from_image(picture)
    image = photo.srgb
    seen = _seen(image)
    plain = image.convert("RGB")
    if seen is None:
        return plain
    return Image.fromarray(_filled(torch.from_numpy(np.array(plain)), seen).numpy())


def _seen(image: Image.Image) -> Tensor | None:
    """How opaque each pixel is, [H, W] in [0, 1]; None where there is no alpha."""
    if image.mode not in ("LA", "RGBA"):
        return None
    return torch.from_numpy(np.array(image.getchannel("A"))).float() / 255


def _filled(pixels: Tensor, seen: Tensor) -> Tensor:
    """Pixels with the mean of what is seen shining through what is transparent."""
    share = seen[..., None]
    if not share.any():
        raise StyleError("reference: the picture is wholly transparent; there is no style to take")
    colours = pixels.float()
    mean = (colours * share).sum((0, 1)) / share.sum()
    return (share * colours + (1 - share) * mean).round().to(torch.uint8)


def _area(*shares: Tensor | None) -> Tensor | None:
    """Where all shares [H, W] in [0, 1] agree, in 256 steps; None if that is everywhere."""
    given = [share for share in shares if share is not None]
    if not given:
        return None
    area = torch.stack(given).prod(0).mul(255).round().to(torch.uint8)
    return None if bool((area == 255).all()) else area
