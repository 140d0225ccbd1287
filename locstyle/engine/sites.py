"""Addresses of the layers an intervention can read or rewrite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from locstyle.errors import SiteError, did_you_mean

Role = Literal["self", "cross", "conv", "linear", "norm", "layernorm"]
Stage = Literal["down", "mid", "up", "io"]
Side = Literal["image", "text", "none"]


@dataclass(frozen=True)
class Site:
    """The address of one layer of a backbone, with what a method needs to choose it by.

    `name` is the module path inside the network. `depth` is the number of the block along its
    stage: up depth 4 is "decoder layer 4" of Plug-and-Play and `output_blocks.4` of the original
    Stable Diffusion. `scale` is how many latent pixels one token spans along a side (1, 2, 4, 8).
    `side` says what the layer's input tokens are: image positions, text tokens, or neither (a time
    embedding). `shape` is that of the weight a style may change, `()` for attention sites, which
    have no one weight, and for norms: "norm" is a GroupNorm, "layernorm" what its name says.
    """

    name: str
    role: Role
    stage: Stage
    depth: int
    scale: int
    side: Side = "image"
    shape: tuple[int, ...] = ()

    @property
    def part(self) -> str:
        """The layer's own name inside its block, such as `to_q`, `conv2` or `proj_in`."""
        return self.name.removesuffix(".0").rpartition(".")[2]


class Sites:
    """All sites of one backbone, in the order the backbone lists its modules."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._sites = {site.name: site for site in sites}

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    def __len__(self) -> int:
        return len(self._sites)

    def __contains__(self, name: object) -> bool:
        return name in self._sites

    def __getitem__(self, name: str) -> Site:
        try:
            return self._sites[name]
        except KeyError:
            hint = did_you_mean(name, self._sites)
            raise SiteError(f"site {name!r} is not a layer of this backbone; {hint}") from None

    def where(
        self, *, role: Role | None = None, stage: Stage | None = None, side: Side | None = None
    ) -> list[Site]:
        """The sites that match every condition given, in module order."""
        return [
            site
            for site in self
            if (role is None or site.role == role)
            and (stage is None or site.stage == stage)
            and (side is None or site.side == side)
        ]

    @property
    def roles(self) -> frozenset[str]:
        """The roles this backbone has at all; a fusion that needs another is refused by name."""
        return frozenset(site.role for site in self)
