"""The standard library of interventions: what the published methods are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.intervene import MIXED, Call
from locstyle.engine.ownership import Ownership
from locstyle.engine.plan import Window
from locstyle.engine.sites import Site, Sites

Rate = Callable[[int], float]
"""How much of the donor enters at timestep t, in [0, 1]."""

ALWAYS = Window()


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
        rows = call.indices(self.to)
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
        rows = call.indices(self.to)
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
