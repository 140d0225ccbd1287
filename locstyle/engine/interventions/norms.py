"""GroupNorm whose statistics are a region's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from locstyle.engine.call import MIXED, Call
from locstyle.engine.ownership import Ownership
from locstyle.engine.sites import Site, Sites


@dataclass(frozen=True, eq=False)
class RegionalNorm:
    """In mixed rows, GroupNorm takes mean and spread from each region's own tokens.

    y = Σ_r own_r · GN_r(x), where GN_r has the statistics of x weighted by own_r. Plain GroupNorm
    mixes the regions: a dark or strong style shifts the tone of all others, and a photo held around
    a small region weakens its style (docs/between-regions.md). `kin`: by owner, unstyled first, the
    first owner of equal style; those count as one, so the same style in all is the layer itself.
    """

    ownership: Ownership
    kin: Sequence[int]
    anew: ClassVar[bool] = True

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="norm")

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        assert isinstance(layer, nn.GroupNorm)  # what a site with this role is
        rows = [index for index, row in enumerate(call.rows) if row.owner == MIXED]
        held = self.ownership.held(self.kin, call.grid(x), x)
        if not rows or len(held) == 1:
            return y
        styled = y.clone()
        styled[rows] = normalized(layer, x[rows], [one.area for one in held], x[rows])
        return styled


def normalized(layer: nn.GroupNorm, x: Tensor, areas: Sequence[Tensor], like: Tensor) -> Tensor:
    """GroupNorm of x [rows, C, h, w] with the statistics of `like` for each of `areas` [h, w].

    The layer itself where one area is everything and `like` is `x`.
    """
    split, given = (one.unflatten(1, (layer.num_groups, -1)) for one in (x, like))
    total = torch.zeros_like(split)
    for area in areas:
        weight = area / (area.sum() * split.shape[2])
        mean = (weight * given).sum((2, 3, 4), keepdim=True)
        spread = (weight * (given - mean) ** 2).sum((2, 3, 4), keepdim=True)
        total += area * (split - mean) / (spread + layer.eps).sqrt()
    return total.flatten(1, 2) * layer.weight[:, None, None] + layer.bias[:, None, None]
