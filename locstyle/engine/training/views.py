"""What a training sees: a few pictures as many crops, and those as latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from locstyle.engine.noise import generator

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.engine.backbone import Backbone


@dataclass(frozen=True)
class Views:
    """How pictures become training pictures.

    `crops`: how many random squares are cut beforehand; 0 takes the whole pictures. `zoom`: crops
    are enlarged up to this much; 1 keeps strokes as large as an edit shows them. `flips`: mirror
    every other one. `hues`: swap its colour channels. Both are drawn for each crop; a whole picture
    stands there in every way, so that they are drawn each time it is. `size`: its side in pixels;
    None takes the backbone's own, for crops the half. `drawn_at`: the side at which edits draw a
    picture as large as these; None is the backbone's own.
    """

    crops: int = 64
    zoom: float = 1.0
    flips: bool = False
    hues: bool = False
    size: int | None = None
    drawn_at: int | None = None

    def of(self, images: Sequence[Image], backbone: Backbone, seed: int) -> list[Tensor]:
        """Training pictures in [0, 1], one tensor [N, 3, H, W] per size."""
        multiple = backbone.multiple
        whole = self.drawn_at or backbone.native
        side = -(-(self.size or (whole // 2 if self.crops else whole)) // multiple) * multiple
        drawn = generator(seed, "crops")
        found: dict[tuple[int, ...], list[Tensor]] = {}
        if self.crops:
            made = self._crops(images, side, whole, drawn)
        else:
            made = (way for image in images for way in self._ways(_whole(image, side, multiple)))
        for picture in made:
            found.setdefault(tuple(picture.shape), []).append(picture)
        return [torch.stack(same).to(backbone.device) for same in found.values()]

    def scale(self, images: Sequence[Image], backbone: Backbone) -> float:
        """Pixels of the pictures to a working pixel: their mean, before any zoom.

        An edit at a detail of one over it draws strokes as large on its photo as they are here.
        """
        whole = self.drawn_at or backbone.native
        side = whole if self.crops else self.size or whole
        return sum(min(image.size) for image in images) / len(images) / side

    def _crops(
        self, images: Sequence[Image], side: int, whole: int, drawn: torch.Generator
    ) -> Iterator[Tensor]:
        for index in range(max(self.crops, len(images))):
            image = images[index % len(images)]
            picture = _crop(image, side, side / whole, self.zoom, drawn)
            if self.flips and torch.rand((), generator=drawn) < 0.5:
                picture = picture.flip(-1)
            if self.hues:
                picture = picture[torch.randperm(3, generator=drawn)]
            yield picture

    def _ways(self, picture: Tensor) -> Iterator[Tensor]:
        """A whole picture in every way it may be drawn."""
        for channels in permutations(range(3)) if self.hues else [(0, 1, 2)]:
            for one in (picture, picture.flip(-1)) if self.flips else (picture,):
                yield one[list(channels)]


class Latents:
    """Draws latents of training pictures: encoded once, or anew from the posterior each time.

    `dice` is what it draws pictures with, `posterior` what it draws latents with.
    """

    def __init__(
        self, pictures: Sequence[Tensor], backbone: Backbone, seed: int, *, resample: bool = False
    ) -> None:
        self._backbone, self._resample = backbone, resample
        self._pools = list(pictures) if resample else [backbone.encode(pool) for pool in pictures]
        self._sizes = torch.tensor([float(len(pool)) for pool in pictures])
        self.dice = generator(seed, "data")
        self.posterior = generator(seed, "posterior")

    def draw(self, rows: int) -> Tensor:
        """Latents [rows, channels, h, w] of pictures of one size."""
        pool = self._pools[int(torch.multinomial(self._sizes, 1, generator=self.dice))]
        chosen = pool[torch.randint(len(pool), (rows,), generator=self.dice)]
        return self._backbone.encode(chosen, sample=self.posterior) if self._resample else chosen


def _crop(image: Image, side: int, share: float, zoom: float, drawn: torch.Generator) -> Tensor:
    """A random square at the scale that an edit sees the picture at, or enlarged up to `zoom`.

    `share` is the side of a crop over that of the whole picture as the backbone takes it.
    """
    shorter = min(image.size)
    enlarged, x, y = torch.rand(3, generator=drawn).tolist()
    edge = min(shorter, max(1.0, shorter * share / (1 + (zoom - 1) * enlarged)))
    left, top = (image.width - edge) * x, (image.height - edge) * y
    return _resized(image, (side, side), (left, top, left + edge, top + edge))


def _whole(image: Image, side: int, multiple: int) -> Tensor:
    """The whole picture, its shorter side `side` pixels, the longer one rounded to `multiple`."""
    scale = side / min(image.size)
    width, height = (max(side, round(edge * scale / multiple) * multiple) for edge in image.size)
    return _resized(image, (width, height), None)


def _resized(
    image: Image, size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> Tensor:
    """A part of the picture at `size` (width, height): [3, height, width] in [0, 1]."""
    from PIL import Image as pillow

    small = image.convert("RGB").resize(size, pillow.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255
