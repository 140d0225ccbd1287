"""Partition: who owns which pixel, softly, as planes that sum to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from PIL import Image
from torch import Tensor

from locstyle.masks import refine
from locstyle.masks.mask import Mask
from locstyle.masks.sizes import check_size
from locstyle.masks.values import grey, png, soften
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
class Partition:
    """Who owns each pixel: all regions and the remainder, summing to 1 everywhere.

    Attributes:
        values: [R+1, H, W] float32 in [0, 1] on the CPU; index 0 is what no region owns.
    """

    values: Tensor

    def __repr__(self) -> str:
        height, width = self.size
        return f"Partition({width} × {height}, {self.regions} regions)"

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
            held = mask.values
            torch.mul(held, rest, out=values[index + 1])
            rest.mul_(1 - held)
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
        for width in widths:
            refine.check_pixels("feather", width, self.size)
        planes = zip(self.values.numpy(), widths, strict=True)
        softened = torch.stack([torch.from_numpy(soften(p, width)) for p, width in planes])
        return Partition(softened / softened.sum(0))

    @property
    def image(self) -> Image.Image:
        """One colour per region, the remainder grey."""
        colours = [
            _PALETTE[0] if i == 0 else _PALETTE[1 + (i - 1) % 5] for i in range(self.regions + 1)
        ]
        return Image.fromarray(
            grey(torch.einsum("rhw,rc->hwc", self.values, torch.tensor(colours) / 255))
        )

    def _repr_png_(self) -> bytes:
        return png(self.image)
