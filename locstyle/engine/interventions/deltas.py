"""Low-rank style updates, each on the tokens its region owns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any  # a norm is untyped

import torch
from torch import Tensor, nn

from locstyle.engine.attend import together
from locstyle.engine.call import MIXED, Call, Grid, Row
from locstyle.engine.interventions.stacks import AllTokens, PixelBox, Place, Rows, SomeTokens, Stack
from locstyle.engine.kept import Kept
from locstyle.engine.ownership import Ownership
from locstyle.engine.scene import SceneRegion
from locstyle.engine.sites import Site, Sites
from locstyle.errors import StyleError

_Acting = tuple[tuple[int, int], ...]  # owners, with the number of one of their styles
_Lie = Grid | tuple[int, int]

EACH = 500_000
"""What one stack more costs beside its own work, in multiplications: some calls of the library."""


@dataclass(frozen=True, eq=False)
class Deltas:
    """Low-rank style deltas, each acting on the tokens its region owns.

    y ← y + Σ_r own_r · strength_r · (scale_r · up_r(down_r(x)) + bias_r). Styles that share tokens
    are stacked along the rank, so they cost one pair of products however many there are; where
    regions are small, each is worked out at its own tokens alone. What a style's norms gain acts
    likewise. `regions` are in the partition's order; `without` names sites left unstyled, `plain`
    rows.
    """

    regions: Sequence[SceneRegion]
    ownership: Ownership
    without: Collection[str] = frozenset()
    plain: Collection[str] = frozenset()
    _kept: Kept = field(default_factory=Kept, init=False, repr=False)

    def where(self, sites: Sites) -> list[Site]:
        styles = [one.style for region in self.regions for one in region.styles]
        styled = {name for style in styles for name in (*style.deltas, *style.norms)}
        return [sites[name] for name in sorted(styled - set(self.without))]

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        acting = tuple(
            (owner, number)
            for owner, region in enumerate(self.regions, start=1)
            for number, one in enumerate(region.styles)
            if one.acts(call)
        )
        if site.role in ("norm", "layernorm"):
            return self._gained(site, call, layer, acting, y)
        key = ("rows", site.name, call.rows, acting)
        for mixed, here, rows in self._kept.get(
            key, x, lambda: tuple(self._groups(site, call.rows, acting))
        ):
            styled = y.clone()
            if mixed:
                for stack, place in self._placed(site, call, here, x, y):
                    place.add(styled, stack, x, rows)
            else:
                styled[rows] += self._stack(site, here, x).at(x[rows], y)
            y = styled
        return y

    def _gained(self, site: Site, call: Call, layer: Any, acting: _Acting, y: Tensor) -> Tensor:
        """A norm's output under the gains of who owns its tokens: y + own · (x̂ Δw + Δb), where
        y = x̂ w + b, whosever statistics x̂ has. A channel of weight 0 gains no more than Δb."""
        along = (-1, *(1,) * (y.ndim - 2)) if y.ndim == 4 else (-1,)
        weight, bias = (part.detach().float().view(along) for part in (layer.weight, layer.bias))
        made = y.clone()
        for index, row in enumerate(call.rows):
            if row.name in self.plain:
                continue
            for owner, number in acting:
                one = self.regions[owner - 1].styles[number]
                gain = one.style.norms.get(site.name)
                if gain is None or row.owner not in (MIXED, owner):
                    continue
                more, offset = (part.to(weight).view(along) for part in (gain.weight, gain.bias))
                even = (y[index].float() - bias) / torch.where(weight == 0, torch.inf, weight)
                change = one.strength * (even * more + offset)
                if row.owner == MIXED:
                    own = self._own(site, self._lie(site, call, y), y)[owner].float()
                    change = change * (own if y.ndim == 4 else own[:, None])
                made[index] += change.to(y)
        return made

    def _groups(
        self, site: Site, rows: Sequence[Row], acting: _Acting
    ) -> Iterator[tuple[bool, _Acting, Rows]]:
        """Batch rows by whether they are mixed and by whose deltas act on them."""
        here = tuple(
            (owner, number)
            for owner, number in acting
            if site.name in self.regions[owner - 1].styles[number].style.deltas
        )
        groups: dict[tuple[bool, _Acting], list[int]] = {}
        for index, row in enumerate(rows):
            mixed = row.owner == MIXED
            mine = here if mixed else tuple(one for one in here if one[0] == row.owner)
            if mine and row.name not in self.plain:
                groups.setdefault((mixed, mine), []).append(index)
        return ((mixed, mine, together(found)) for (mixed, mine), found in groups.items())

    def _stack(self, site: Site, acting: _Acting, like: Tensor) -> Stack:
        def made() -> Stack:
            used = [self.regions[owner - 1].styles[number] for owner, number in acting]
            return Stack.of([(one.style.deltas[site.name], one.strength) for one in used], like)

        return self._kept.get((site.name, acting), like, made)

    def _placed(
        self, site: Site, call: Call, acting: _Acting, x: Tensor, y: Tensor
    ) -> tuple[tuple[Stack, Place], ...]:
        """The stacks of a mixed row, each with where it acts and how much."""
        if site.side == "none":
            raise StyleError(
                f"{site.name}: a style delta on a layer without image or text tokens cannot be "
                "limited to a region in a mixed row; use the diffstyler fusion, or a style "
                "without this layer"
            )
        lie = self._lie(site, call, y)
        key, tile = ("placed", site.name, acting, lie), lie.tile if isinstance(lie, Grid) else None
        return self._kept.get(key, x, lambda: self._places(site, acting, lie, y), tile)

    def _places(
        self, site: Site, acting: _Acting, lie: _Lie, y: Tensor
    ) -> tuple[tuple[Stack, Place], ...]:
        """Each owner's stack at its own tokens, or, where that saves little, one for all."""
        own = self._own(site, lie, y)
        here = {owner: tuple(one for one in acting if one[0] == owner) for owner, _ in acting}
        found = {owner: (PixelBox if y.ndim == 4 else SomeTokens).of(own[owner]) for owner in here}
        places = {owner: place for owner, place in found.items() if place is not None}
        tokens = own[0].numel()
        apart = sum(self._work(site, here[owner]) * place.size for owner, place in places.items())
        if apart + EACH * len(places) < self._work(site, acting) * tokens:
            return tuple((self._stack(site, here[o], y), place) for o, place in places.items())
        whole = self._stack(site, acting, y)
        by_rank = own[[owner for owner, _ in acting]]
        by_rank = by_rank.repeat_interleave(torch.tensor(whole.ranks, device=y.device), 0)
        weight = by_rank if y.ndim == 4 else by_rank.T.contiguous()
        return ((whole, AllTokens(None if bool((weight == 1).all()) else weight)),)

    def _work(self, site: Site, acting: _Acting) -> int:
        """How many multiplications a token takes."""
        used = (self.regions[owner - 1].styles[number] for owner, number in acting)
        return sum(one.style.deltas[site.name].numbers for one in used)

    def _lie(self, site: Site, call: Call, y: Tensor) -> _Lie:
        """How the tokens of a layer's output lie; of text: how many texts of how many tokens."""
        if site.side == "text":
            return call.texts, y.shape[1]
        return call.grid(y if y.ndim == 4 else site)

    def _own(self, site: Site, lie: _Lie, y: Tensor) -> Tensor:
        """Ownership in a mixed row: [regions + 1, tokens or h, w]."""
        if isinstance(lie, Grid):
            own = self.ownership.mixed(lie, y)
            return own if y.ndim == 4 else own.flatten(1)
        return self.ownership.text((Row("", MIXED),), *lie, y)[0].T
