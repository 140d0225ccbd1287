"""Rows that take from another row: its attention map, its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from locstyle.engine.attend import Read
from locstyle.engine.call import Call, Part, Takes
from locstyle.engine.ownership import Ownership
from locstyle.engine.plan import Window
from locstyle.engine.sites import Site, Sites

Rate = Callable[[int], float]
"""How much of the donor enters at timestep t, in [0, 1]."""

ALWAYS = Window()
_PARTS: dict[str, tuple[Part, ...]] = {
    "q": ("q",),
    "k": ("k",),
    "v": ("v",),
    "qk": ("q", "k"),
    "kv": ("k", "v"),
}


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

    @property
    def takes(self) -> Takes:
        return Takes((self.donor,), self.to, _PARTS[self.parts])

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def project(self, site: Site, call: Call, read: Read) -> Read:
        rows, rate = call.indices(self.to), self.rate(call.t)
        if not rows or rate == 0 or not self.window.holds(call.fraction):
            return read

        def blended(part: Part, values: Tensor) -> Tensor:
            given = call.given.get((self.donor, part))
            if given is None:
                return values
            new = values.clone()
            new[rows] = rate * given + (1 - rate) * values[rows]
            return new

        return read._replace(q=blended("q", read.q), k=blended("k", read.k), v=blended("v", read.v))


@dataclass(frozen=True)
class ShareFeature:
    """Rows `to` take the output of some layers from row `donor` (Plug-and-Play,
    arXiv:2211.12572).

    `window`: when they do. One for each owner, unstyled first, where it depends on the region: then
    tokens take it as `ownership` says, and with the same for all that is the whole row, exactly.
    """

    donor: str
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    window: Window | tuple[Window, ...] = ALWAYS
    ownership: Ownership | None = None

    @property
    def takes(self) -> Takes:
        return Takes((self.donor,), self.to, ("y",))

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        windows = (self.window,) if isinstance(self.window, Window) else self.window
        taking = [owner for owner, one in enumerate(windows) if one.holds(call.fraction)]
        given, rows = call.given.get((self.donor, "y")), call.indices(self.to)
        if given is None or not rows or not taking:
            return y
        taken = y.clone()
        if len(taking) == len(windows) or self.ownership is None:
            taken[rows] = given
            return taken
        own = self.ownership.mixed(call.grid(y), y)
        taken[rows] = torch.lerp(y[rows], given.expand_as(y[rows]), own[taking].sum(0))
        return taken


def layout_sites(sites: Sites) -> tuple[tuple[Site, ...], tuple[Site, ...]]:
    """The self-attentions and the feature that hold a photo's layout.

    The decoder's layers with attention but for the first of them, and the last convolution of the
    second one's residual block: in Stable Diffusion 1.x and 2.x layers 4 to 11 and layer 4, as
    chosen by Plug-and-Play, arXiv:2211.12572 §4, and kept by DiffStyler. *Deviation:* in SDXL, for
    which neither says anything, that is layers 1 to 5 and layer 1.
    """
    decoder = sites.where(role="self", stage="up")
    _, *later = sorted({site.depth for site in decoder}) or [0]
    attentions = tuple(site for site in decoder if site.depth in later)
    convolutions = sites.where(role="conv", stage="up")
    features = tuple(s for s in convolutions if s.depth in later[:1] and s.part == "conv2")
    return attentions, features


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
