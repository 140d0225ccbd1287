"""Reads that depend on the region a query lies in, made of what other rows have there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.intervene import MIXED, Call, Row
from locstyle.engine.ownership import Ownership
from locstyle.engine.plan import Window
from locstyle.engine.sites import Site, Sites


class Donor(NamedTuple):
    """What another row has at one site in this step, each [1, heads, tokens, dim].

    `q` at the queries in question, `k` and `v` at all tokens.
    """

    q: Tensor
    k: Tensor
    v: Tensor


Reading = Callable[[int, Site, Call, Read, Mapping[str, Donor]], Iterable[Read]]
"""What the queries of one owner read: its number, the site, the call, the rows' own read, donors.

Built from the read it is given, so that rows, tokens and weight stay with it.
"""

_Key = tuple[tuple[int, int], torch.device, torch.dtype]


@dataclass(frozen=True, eq=False)
class RegionalReads:
    """In the rows `to`, every query reads what `reading` says for the region that owns it.

    Outputs are weighted by who owns the query; the weights sum to one, so that the same reading for
    all owners is that reading, exactly. A reading sees its owner's queries alone, and all keys and
    values. `donors` are the rows it may take from. It goes last at its sites: its reads are parts.
    """

    donors: tuple[str, ...]
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    ownership: Ownership
    reading: Reading
    window: Window = field(default_factory=Window)
    _known: dict[_Key, dict[int, tuple[Tensor, Tensor]]] = field(default_factory=dict, repr=False)

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        donors = self._donors(site, call, reads[0])
        rows = {index for name in self.to if (index := call.index(name)) is not None}
        if not rows or not self.window.holds(call.fraction):
            return reads
        rest = set(range(len(call.rows))) - rows
        new = [read.only(rest) for read in reads] if rest else []
        for read in reads:
            mine = read.only(rows)
            for owner, (tokens, share) in self._owned(site, call, mine.q).items():
                here = {
                    name: donor._replace(q=donor.q[:, :, tokens]) for name, donor in donors.items()
                }
                new += [
                    part._replace(weight=part.weight * share)
                    for part in self.reading(owner, site, call, mine.at(tokens), here)
                ]
        return new

    def _donors(self, site: Site, call: Call, read: Read) -> dict[str, Donor]:
        """Asked for in every call, so that a donor is kept for takers in a later chunk of rows."""
        found = {}
        for name in self.donors:
            parts = [call.donor(site, name, part, getattr(read, part)) for part in "qkv"]
            present = [part[None] for part in parts if part is not None]
            if len(present) == len(parts):
                found[name] = Donor(*present)
        return found

    def _owned(self, site: Site, call: Call, like: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """By owner, the query tokens it has a share in [n], and how much [1, 1, n, 1]."""
        size = (call.size[0] // site.scale, call.size[1] // site.scale)
        key = (size, like.device, like.dtype)
        if key not in self._known:
            own = self.ownership.image((Row("", MIXED),), size, like)[0].flatten(1)
            self._known[key] = {
                owner: (tokens, share[tokens][None, None, :, None])
                for owner, share in enumerate(own)
                if len(tokens := share.nonzero().flatten())
            }
        return self._known[key]
