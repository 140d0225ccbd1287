"""Reads and features that depend on the region a token lies in, made of other rows' there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.intervene import Call
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

    def at(self, tokens: Tensor | None) -> Donor:
        """The same with the queries of some tokens only; None: of all."""
        return self if tokens is None else self._replace(q=self.q[:, :, tokens])


Reading = Callable[[int, Site, Call, Read, Mapping[str, Donor]], Iterable[Read]]
"""What the queries of one owner read: its number, the site, the call, the rows' own read, donors.

Built from the read it is given, so that rows, tokens and weight stay with it. It may have a method
`alike(owner, site, call)`: owners with equal answers read the same, and are read together.
"""

_Key = tuple[tuple[int, int], torch.device, torch.dtype, tuple[Hashable, ...]]
_Owned = dict[int, tuple[Tensor | None, Tensor | float]]


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
    _known: dict[_Key, _Owned] = field(default_factory=dict, repr=False)

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        donors = self._donors(site, call, reads[0])
        rows = set(call.indices(self.to))
        if not rows or not self.window.holds(call.fraction):
            return reads
        rest = set(range(len(call.rows))) - rows
        new = [read.only(rest) for read in reads] if rest else []
        for read in reads:
            mine = read.only(rows)
            for owner, (tokens, share) in self._owned(site, call, mine.q).items():
                new += [
                    part._replace(weight=part.weight * share)
                    for part in self.reading(
                        owner,
                        site,
                        call,
                        mine if tokens is None else mine.at(tokens),
                        {name: donor.at(tokens) for name, donor in donors.items()},
                    )
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

    def _owned(self, site: Site, call: Call, like: Tensor) -> _Owned:
        """By owner, or the first of several that read alike: the query tokens it has a share in
        [n], None for all, and how much [1, 1, n, 1]."""
        alike = getattr(self.reading, "alike", lambda owner, site, call: owner)
        groups = tuple(alike(owner, site, call) for owner in range(self.ownership.regions + 1))
        size = (call.size[0] // site.scale, call.size[1] // site.scale)
        key = (size, like.device, like.dtype, groups)
        if key not in self._known:
            if len(set(groups)) == 1:
                self._known[key] = {0: (None, 1.0)}
            else:
                own = self.ownership.mixed(size, like).flatten(1)
                self._known[key] = dict(_shared(own, groups))
        return self._known[key]


def _shared(own: Tensor, groups: Sequence[Hashable]) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
    """The first owner of each group, the tokens the group has a share in, and how much."""
    for group in dict.fromkeys(groups):
        members = [owner for owner, one in enumerate(groups) if one == group]
        share = own[members].sum(0)
        tokens = share.nonzero().flatten()
        if len(tokens):
            yield members[0], (tokens, share[tokens][None, None, :, None])


@dataclass(frozen=True)
class RegionalFeature:
    """Rows `to` take the output of some layers from row `donor` where their tokens' owners do.

    `windows`: when each owner does, unstyled first. With the same for all it is `ShareFeature`.
    """

    donor: str
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    ownership: Ownership
    windows: tuple[Window, ...]

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def feature(self, site: Site, call: Call, x: Tensor, y: Tensor) -> Tensor:
        taking = [owner for owner, w in enumerate(self.windows) if w.holds(call.fraction)]
        given = call.donor(site, self.donor, "feature", y)
        rows = call.indices(self.to)
        if given is None or not rows or not taking:
            return y
        taken = y.clone()
        if len(taking) == len(self.windows):
            taken[rows] = given
            return taken
        own = self.ownership.mixed((y.shape[-2], y.shape[-1]), y)
        taken[rows] = torch.lerp(y[rows], given.expand_as(y[rows]), own[taking].sum(0))
        return taken
