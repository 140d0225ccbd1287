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
        areas, seen = [one.area for one in held], x[rows]
        made = normalized(layer, seen, areas, seen)
        if len(rows) == len(x):
            return made
        return y.index_copy(0, torch.tensor(rows, device=y.device), made)


def normalized(layer: nn.GroupNorm, x: Tensor, areas: Sequence[Tensor], like: Tensor) -> Tensor:
    """GroupNorm of x [rows, C, h, w] with the statistics of `like` for each of `areas` [h, w].

    The layer itself, but for rounding, where one area is everything and `like` is `x`. A row at a
    time, so that a row's bits do not depend on how many there are.
    """
    area = torch.stack(tuple(areas)).flatten(1).float()  # [R, N]
    made = torch.empty_like(x)
    last = (one.permute(0, 2, 3, 1).flatten(1, 2) for one in (x, like.expand_as(x)))
    for row, (own, seen) in enumerate(zip(*last, strict=True)):
        made[row] = _normalized(layer, own, area, seen).T.unflatten(1, x.shape[2:])
    return made


def _normalized(layer: nn.GroupNorm, x: Tensor, area: Tensor, like: Tensor) -> Tensor:
    """A row [N, C], channels last as where it comes from.

    Areas [R, N] enter through products alone, so their number costs hardly anything.
    """

    def grouped(by_channel: Tensor) -> Tensor:
        """[…, C], each the mean of its group's."""
        mean = by_channel.unflatten(-1, (layer.num_groups, -1)).mean(-1)
        return mean.repeat_interleave(x.shape[1] // layer.num_groups, -1)

    share = area / area.sum(1, keepdim=True)
    middle = grouped(like.float().mean(0))  # squares of what is far from 0 would lose bits
    like = like.float() - middle
    mean = grouped(share @ like)  # [R, C]
    gain = (grouped(share @ like.square()) - mean.square() + layer.eps).rsqrt() * layer.weight
    offset = torch.addmm(layer.bias.float(), area.T, -(mean + middle) * gain)
    return torch.addcmul(offset, x.float(), area.T @ gain)
