"""The standard library of interventions: what the published methods are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.intervene import MIXED, Call, Row
from locstyle.engine.ownership import Ownership
from locstyle.engine.plan import SceneRegion, Window
from locstyle.engine.sites import Site, Sites
from locstyle.errors import StyleError
from locstyle.style import Delta

Rate = Callable[[int], float]
"""How much of the donor enters at timestep t, in [0, 1]."""

ALWAYS = Window()
_Acting = tuple[tuple[int, int], ...]  # owners, with the number of one of their styles


def fully(t: int) -> float:
    """The rate of a plain replacement."""
    return 1.0


@dataclass(frozen=True)
class Share:
    """Rows `to` take q, k or both of row `donor`: x ← rate·x_donor + (1 - rate)·x.

    With rate 1 on "qk" a row keeps its values but attends with the donor's attention map, exactly
    (Plug-and-Play, arXiv:2211.12572; DiffStyler's adaptive attention fusion, arXiv:2403.18461).
    Blending after the head split equals blending before it: both are linear.
    """

    donor: str
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    parts: Literal["q", "k", "v", "qk", "kv"] = "qk"
    rate: Rate = fully
    window: Window = ALWAYS

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        if not self.window.holds(call.fraction):
            return reads
        return [self._shared(site, call, read) for read in reads]

    def _shared(self, site: Site, call: Call, read: Read) -> Read:
        parts = {part: self._blended(site, call, part, getattr(read, part)) for part in self.parts}
        return read._replace(
            q=parts.get("q", read.q), k=parts.get("k", read.k), v=parts.get("v", read.v)
        )

    def _blended(self, site: Site, call: Call, part: str, values: Tensor) -> Tensor:
        given = call.donor(site, self.donor, part, values)
        rate = self.rate(call.t)
        if given is None or rate == 0:
            return values
        rows = [index for name in self.to if (index := call.index(name)) is not None]
        blended = values.clone()
        blended[rows] = rate * given + (1 - rate) * values[rows]
        return blended


def layout_sites(sites: Sites) -> tuple[tuple[Site, ...], tuple[Site, ...]]:
    """The self-attentions and the feature that hold a photo's layout.

    Decoder layers 4 to 11, and the last convolution of layer 4's residual block, as chosen by
    Plug-and-Play, arXiv:2211.12572 §4, and kept by DiffStyler.
    """
    attentions = tuple(site for site in sites.where(role="self", stage="up") if site.depth >= 4)
    convolutions = sites.where(role="conv", stage="up")
    features = tuple(s for s in convolutions if s.depth == 4 and s.part == "conv2")
    return attentions, features


@dataclass(frozen=True)
class ShareFeature:
    """Rows `to` take the output of some layers from row `donor` (Plug-and-Play,
    arXiv:2211.12572)."""

    donor: str
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    window: Window = ALWAYS

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def feature(self, site: Site, call: Call, x: Tensor, y: Tensor) -> Tensor:
        if not self.window.holds(call.fraction):
            return y
        given = call.donor(site, self.donor, "feature", y)
        rows = [index for name in self.to if (index := call.index(name)) is not None]
        if given is None or not rows:
            return y
        shared = y.clone()
        shared[rows] = given
        return shared


def keep_layout(
    sites: Sites, donor: str, to: tuple[str, ...], *, attention: float, feature: float
) -> tuple[Share, ShareFeature]:
    """Rows `to` keep the layout of row `donor`, as Plug-and-Play does (arXiv:2211.12572).

    `attention` and `feature` are the first parts of the schedule in which they take its attention
    map and its feature.
    """
    attentions, features = layout_sites(sites)
    return (
        Share(donor, to, attentions, window=Window(0, attention)),
        ShareFeature(donor, to, features, Window(0, feature)),
    )


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
    _stacks: dict[tuple[str, _Acting], _Stack] = field(default_factory=dict, repr=False)
    _owned: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    def where(self, sites: Sites) -> list[Site]:
        styled = {name for region in self.regions for s in region.styles for name in s.style.deltas}
        return [sites[name] for name in sorted(styled - set(self.without))]

    def feature(self, site: Site, call: Call, x: Tensor, y: Tensor) -> Tensor:
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
        key = (site.name, acting)
        if key not in self._stacks:
            used = [self.regions[owner - 1].styles[number] for owner, number in acting]
            parts = [(one.style.deltas[site.name], one.strength) for one in used]
            self._stacks[key] = _Stack.of(parts, like)
        return self._stacks[key]

    def _own(self, site: Site, call: Call, acting: _Acting, stack: _Stack, x: Tensor) -> Tensor:
        """Ownership of the tokens of `x` per rank component, in the layout of `x`, for any row."""
        if site.side == "none":
            raise StyleError(
                f"{site.name}: a style delta on a layer without image or text tokens cannot be "
                "limited to a region in a mixed row; use the diffstyler fusion, or a style "
                "without this layer"
            )
        owners = tuple(owner for owner, _ in acting)
        key = (site.side, owners, stack.ranks, x.shape[1:], call.segments, x.device, x.dtype)
        if key not in self._owned:
            own = self._tokens(site, call, x)[..., list(owners)]
            own = own.repeat_interleave(torch.tensor(stack.ranks, device=x.device), -1)
            self._owned[key] = own.movedim(-1, 1) if x.ndim == 4 else own
        return self._owned[key]

    def _tokens(self, site: Site, call: Call, x: Tensor) -> Tensor:
        """Ownership of the tokens of `x` in a mixed row: [1, tokens or h, w, regions + 1]."""
        row = (Row("", MIXED),)
        if site.side == "text":
            return self.ownership.text(row, call.segments, x.shape[1], x)
        if x.ndim == 4:
            return self.ownership.image(row, (x.shape[-2], x.shape[-1]), x).movedim(1, -1)
        size = (call.size[0] // site.scale, call.size[1] // site.scale)
        return self.ownership.image(row, size, x).flatten(2).transpose(1, 2)


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


@dataclass(frozen=True)
class RegionalText:
    """Every image token attends to the text of the region it lies in.

    The texts of all owners lie one after another on the text axis; each gets its own softmax,
    weighted by ownership. Equal texts give plain cross-attention, exactly.
    """

    ownership: Ownership

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="cross")

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        if call.segments == 1:
            return reads
        size = (call.size[0] // site.scale, call.size[1] // site.scale)
        return [part for read in reads for part in self._split(call, size, read)]

    def _split(self, call: Call, size: tuple[int, int], read: Read) -> list[Read]:
        own = self.ownership.image(call.rows, size, read.q).flatten(2)
        # A row with one owner repeats its one text, so the first segment alone is the whole of it.
        single = torch.tensor([row.owner != MIXED for row in call.rows], device=own.device)
        first = torch.zeros_like(own)
        first[:, 0] = 1
        own = torch.where(single[:, None, None], first, own)[:, :, None, :, None]
        keys, values = read.k.chunk(call.segments, 2), read.v.chunk(call.segments, 2)
        return [
            read._replace(k=k, v=v, weight=own[:, segment] * read.weight)
            for segment, (k, v) in enumerate(zip(keys, values, strict=True))
        ]
