"""Low-rank style updates, each on the tokens its region owns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from locstyle.engine.call import MIXED, Call, Row
from locstyle.engine.kept import Kept
from locstyle.engine.ownership import Ownership
from locstyle.engine.scene import SceneRegion
from locstyle.engine.sites import Site, Sites
from locstyle.errors import StyleError
from locstyle.style import Delta

_Acting = tuple[tuple[int, int], ...]  # owners, with the number of one of their styles


@dataclass(frozen=True, eq=False)
class Deltas:
    """Low-rank style deltas, each acting on the tokens its region owns.

    y ← y + Σ_r own_r · strength_r · scale_r · up_r(down_r(x)). Styles that share a row are stacked
    along the rank, so a row costs one pair of products however many it carries. `regions` are in
    the partition's order; `without` names sites left unstyled, `plain` rows.
    """

    regions: Sequence[SceneRegion]
    ownership: Ownership
    without: Collection[str] = frozenset()
    plain: Collection[str] = frozenset()
    _kept: Kept = field(default_factory=Kept, init=False, repr=False)

    def where(self, sites: Sites) -> list[Site]:
        styled = {name for region in self.regions for s in region.styles for name in s.style.deltas}
        return [sites[name] for name in sorted(styled - set(self.without))]

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        for (mixed, acting), rows in self._groups(site, call).items():
            stack = self._stack(site, acting, x)
            inner = stack.shrink(x[rows], y)
            if mixed:
                inner = inner * self._own(site, call, acting, stack, inner)
            styled = y.clone()
            styled[rows] += stack.expand(inner)
            y = styled
        return y

    def _groups(self, site: Site, call: Call) -> dict[tuple[bool, _Acting], Rows]:
        """Batch rows by whether they are mixed and by whose deltas act on them now."""
        acting = tuple(
            (owner, number)
            for owner, region in enumerate(self.regions, start=1)
            for number, one in enumerate(region.styles)
            if site.name in one.style.deltas and one.acts(call)
        )
        groups: dict[tuple[bool, _Acting], list[int]] = {}
        for index, row in enumerate(call.rows):
            if row.name in self.plain:
                continue
            mixed = row.owner == MIXED
            here = acting if mixed else tuple(one for one in acting if one[0] == row.owner)
            if here:
                groups.setdefault((mixed, here), []).append(index)
        return {key: _together(rows) for key, rows in groups.items()}

    def _stack(self, site: Site, acting: _Acting, like: Tensor) -> _Stack:
        def made() -> _Stack:
            used = [self.regions[owner - 1].styles[number] for owner, number in acting]
            return _Stack.of([(one.style.deltas[site.name], one.strength) for one in used], like)

        return self._kept.get((site.name, acting), like, made)

    def _own(self, site: Site, call: Call, acting: _Acting, stack: _Stack, x: Tensor) -> Tensor:
        """Ownership of the tokens of `x` per rank component, in the layout of `x`, for any row."""
        if site.side == "none":
            raise StyleError(
                f"{site.name}: a style delta on a layer without image or text tokens cannot be "
                "limited to a region in a mixed row; use the diffstyler fusion, or a style "
                "without this layer"
            )
        owners = tuple(owner for owner, _ in acting)
        is_text, is_map = site.side == "text", x.ndim == 4
        tokens = (call.texts, x.shape[1]) if is_text else call.grid(x if is_map else site)

        def made() -> Tensor:
            own = self._tokens(site, call, x)[..., list(owners)]
            own = own.repeat_interleave(torch.tensor(stack.ranks, device=x.device), -1)
            return own.movedim(-1, 1) if is_map else own

        return self._kept.get((is_text, is_map, tokens, owners, stack.ranks), x, made)

    def _tokens(self, site: Site, call: Call, x: Tensor) -> Tensor:
        """Ownership of the tokens of `x` in a mixed row: [1, tokens or h, w, regions + 1]."""
        row = (Row("", MIXED),)
        if site.side == "text":
            return self.ownership.text(row, call.texts, x.shape[1], x)
        if x.ndim == 4:
            return self.ownership.image(row, call.grid(x), x).movedim(1, -1)
        return self.ownership.image(row, call.grid(site), x).flatten(2).transpose(1, 2)


Rows = list[int] | slice


def _together(rows: list[int]) -> Rows:
    """Neighbouring rows as a slice, which reads and writes without a copy."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


class _Stack(NamedTuple):
    """Several regions' deltas at one site, one below the other along the rank."""

    down: Tensor
    up: Tensor
    ranks: tuple[int, ...]

    @classmethod
    def of(cls, parts: Sequence[tuple[Delta, float]], like: Tensor) -> _Stack:
        down = torch.cat([delta.down for delta, _ in parts]).to(like)
        up = torch.cat([strength * delta.scale * delta.up.float() for delta, strength in parts], 1)
        return cls(down, up.to(like), tuple(delta.rank for delta, _ in parts))

    def shrink(self, x: Tensor, y: Tensor) -> Tensor:
        if self.down.ndim == 2:
            return F.linear(x, self.down)
        # The layer's own stride and padding, read off its input and output ("same" convolutions).
        stride = x.shape[-1] // y.shape[-1]
        return F.conv2d(x, self.down, stride=stride, padding=self.down.shape[-1] // 2)

    def expand(self, inner: Tensor) -> Tensor:
        return F.linear(inner, self.up) if self.up.ndim == 2 else F.conv2d(inner, self.up)
