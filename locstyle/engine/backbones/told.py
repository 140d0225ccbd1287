"""What an SDXL network is told beside latent, timestep and text: sizes, and one pooled text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from locstyle.engine.tiles import Tile


@dataclass(frozen=True, eq=False)
class Told:
    """The micro-conditions of arXiv:2307.01952 §2.2.

    `neutral` [1, dim] is the pooled text of "". It is the same for all: a pooled text reaches every
    token, so what a region says would leave the region by it. Styles' words act in cross-attention
    only. `factor`: pixels a latent pixel.
    """

    neutral: Tensor
    factor: int

    def beside(self, tiles: Sequence[Tile], rows: int) -> dict[str, Tensor]:
        """Pooled texts [rows, dim] and time ids [rows, 6] of rows that show these tiles, one for
        each or one for all, as diffusers names them."""
        sizes = [self._size(tile) for tile in tiles]
        ids = torch.tensor(sizes, device=self.neutral.device).expand(rows, -1)
        return {"text_embeds": self.neutral.expand(rows, -1), "time_ids": ids}

    def _size(self, tile: Tile) -> list[float]:
        """Original height and width, top and left of the crop, height and width drawn; in pixels.

        The original is the picture in its own pixels. *Deviation:* one with fewer than are drawn
        counts as large as drawn, since small originals were blurred ones. A tile is a crop of it.
        """
        drawn = [side * self.factor for side in tile.whole]
        own = tile.photo or drawn
        original = own if own[0] * own[1] >= drawn[0] * drawn[1] else drawn
        pixels = (*original, *(n * self.factor for n in (tile.top, tile.left, *tile.size)))
        return [float(number) for number in pixels]
