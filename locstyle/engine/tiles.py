"""Tiles: overlapping windows of one latent, evaluated one by one and averaged smoothly.

MultiDiffusion, arXiv:2302.08113, with smooth weights: one latent, one trajectory, and in every step
each window's prediction, weighted so that no window's border shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import ceil

import torch
from torch import Tensor

OVERLAP = 0.25
"""The share of a tile's side that it shares with its neighbour, at least."""

ROOM = 1.6
"""How many times a tile's area one forward pass may have before tiles are worth their borders."""


@dataclass(frozen=True)
class Tile:
    """A window of a latent of size `whole` (height, width); all in latent pixels.

    `photo`: (height, width) in its own pixels of the picture that the whole shows, None where that
    is as large as it is drawn. Networks that are told sizes ask for it.
    """

    top: int
    left: int
    height: int
    width: int
    whole: tuple[int, int]
    photo: tuple[int, int] | None = field(default=None, repr=False)

    @classmethod
    def all_of(cls, size: tuple[int, int], photo: tuple[int, int] | None = None) -> Tile:
        """A latent of that size as one tile."""
        return cls(0, 0, *size, size, photo)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def of(self, values: Tensor, scale: int = 1) -> Tensor:
        """What lies in the tile of values [..., H, W] with `scale` pixels a latent pixel; a
        view."""
        top, left = self.top * scale, self.left * scale
        return values[..., top : top + self.height * scale, left : left + self.width * scale]


@dataclass(frozen=True)
class Tiles:
    """All tiles of a latent of `size` (height, width); they have one size, and cover it."""

    size: tuple[int, int]
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, size: tuple[int, int], side: int, multiple: int = 1) -> Tiles:
        """The tiles of about side² latent pixels each; one where a single pass does as well.

        Tiles begin and end on multiples of `multiple`, as `size` does, so that every layer of the
        network divides them as it would divide the whole.
        """
        height, width = size
        if height * width <= ROOM * side * side:
            return cls.whole(size)
        tile = _tile(size, max(multiple, side // multiple * multiple), multiple)
        rows = _starts(height, tile[0], multiple)
        columns = _starts(width, tile[1], multiple)
        return cls(size, tuple(Tile(top, left, *tile, size) for top in rows for left in columns))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Tiles:
        """The latent as one tile."""
        return cls(size, (Tile.all_of(size),))

    def showing(self, photo: tuple[int, int]) -> Tiles:
        """The same of a picture of that (height, width) in its own pixels."""
        return replace(self, tiles=tuple(replace(tile, photo=photo) for tile in self.tiles))

    @property
    def is_one(self) -> bool:
        """Whether a single tile is the whole."""
        return len(self.tiles) == 1

    def merged(self, parts: Iterable[Tensor], scale: int = 1) -> Tensor:
        """The tiles' values [..., h, w] as one [..., H, W], averaged by smooth weights.

        `scale`: pixels a latent pixel. A single tile's values come back as they are. Parts are
        taken one by one, so what makes them one by one need not hold them all.
        """
        if self.is_one:
            (only,) = parts
            return only
        total = weights = torch.empty(0)
        for index, (tile, part) in enumerate(zip(self.tiles, parts, strict=True)):
            if index == 0:
                height, width = self.size[0] * scale, self.size[1] * scale
                total = part.new_zeros((*part.shape[:-2], height, width))
                weights = part.new_zeros((height, width))
            weight = self._weight(tile, scale).to(part)
            tile.of(total, scale).add_(weight * part)
            tile.of(weights, scale).add_(weight)
        return total / weights

    def _weight(self, tile: Tile, scale: int) -> Tensor:
        """How much a tile counts, [h, w]: less towards borders it shares with a neighbour."""
        rows = _ramp(tile.top, tile.height, self.size[0], scale)
        columns = _ramp(tile.left, tile.width, self.size[1], scale)
        return rows[:, None] * columns


def _tile(size: tuple[int, int], side: int, multiple: int) -> tuple[int, int]:
    """The (height, width) of tiles; those of a strip are as long as its narrowness allows."""
    thin = min(*size, side)
    long = max(multiple, side * side // thin // multiple * multiple)
    return (thin, min(long, size[1])) if size[0] < size[1] else (min(long, size[0]), thin)


def _starts(length: int, tile: int, multiple: int) -> list[int]:
    """Where tiles begin along an axis: evenly, and overlapping enough."""
    if length <= tile:
        return [0]
    count = ceil((length - OVERLAP * tile) / (tile * (1 - OVERLAP)))
    step = (length - tile) / (count - 1)
    return [round(index * step / multiple) * multiple for index in range(count)]


def _ramp(start: int, tile: int, length: int, scale: int) -> Tensor:
    """The weight along one axis, [tile · scale]: raised cosines over borders inside the latent."""
    place = (torch.arange(tile * scale) + 0.5) / scale
    reach = max(1.0, OVERLAP * tile)
    weight = torch.ones(tile * scale)
    if start > 0:
        weight = weight * _rise(place / reach)
    if start + tile < length:
        weight = weight * _rise((tile - place) / reach)
    return weight


def _rise(share: Tensor) -> Tensor:
    """0 to 1 over [0, 1] without a kink, and 1 beyond."""
    return (0.5 - 0.5 * torch.cos(torch.pi * share.clamp(0, 1))).clamp_min(1e-4)
