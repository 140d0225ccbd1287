"""GroupNorm whose statistics are a region's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from locstyle.engine.intervene import MIXED, Call
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
    _shares: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="norm")

    def normalize(
        self, site: Site, call: Call, layer: nn.GroupNorm, x: Tensor, y: Tensor
    ) -> Tensor:
        rows = [index for index, row in enumerate(call.rows) if row.owner == MIXED]
        shares = self._own((x.shape[-2], x.shape[-1]), x)
        if not rows or len(shares) == 1:
            return y
        styled = y.clone()
        styled[rows] = normalized(layer, x[rows], shares, x[rows])
        return styled

    def _own(self, size: tuple[int, int], like: Tensor) -> Tensor:
        """What each kin owns where there is any, [kin, h, w]; sums to 1."""
        key = (size, like.device, like.dtype)
        if key not in self._shares:
            own = self.ownership.mixed(size, like)
            groups = [
                own[[o for o, first in enumerate(self.kin) if first == one]].sum(0)
                for one in dict.fromkeys(self.kin)
            ]
            self._shares[key] = torch.stack([share for share in groups if bool(share.any())])
        return self._shares[key]


def normalized(layer: nn.GroupNorm, x: Tensor, shares: Tensor, like: Tensor) -> Tensor:
    """GroupNorm of x [rows, C, h, w] with the statistics of `like` for each of `shares` [n, h, w].

    The layer itself where one share is everything and `like` is `x`.
    """
    split, given = (one.unflatten(1, (layer.num_groups, -1)) for one in (x, like))
    total = torch.zeros_like(split)
    for share in shares:
        weight = share / (share.sum() * split.shape[2])
        mean = (weight * given).sum((2, 3, 4), keepdim=True)
        spread = (weight * (given - mean) ** 2).sum((2, 3, 4), keepdim=True)
        total += share * (split - mean) / (spread + layer.eps).sqrt()
    return total.flatten(1, 2) * layer.weight[:, None, None] + layer.bias[:, None, None]
