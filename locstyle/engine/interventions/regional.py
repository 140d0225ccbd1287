"""Reads that depend on the region a query lies in, made of other rows' there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from locstyle.engine.attend import Read, at_tokens
from locstyle.engine.call import Call, Part, Takes
from locstyle.engine.ownership import Held, Ownership
from locstyle.engine.plan import Window
from locstyle.engine.sites import Site, Sites
from locstyle.errors import SiteError


class Donor(NamedTuple):
    """What another row has at one site in this step, each [1, heads, tokens, dim].

    `q` at the queries in question, `k` and `v` at all tokens. `queries` are those of all tokens,
    and `tokens` [n] the ones in question; None: all.
    """

    queries: Tensor
    k: Tensor
    v: Tensor
    tokens: Tensor | None = None

    @property
    def q(self) -> Tensor:
        return self.queries if self.tokens is None else at_tokens(self.queries, self.tokens)


QKV: tuple[Part, ...] = ("q", "k", "v")
Reading = Callable[[int, Site, Call, Read, Mapping[str, Donor]], Iterable[Read]]
"""What the queries of one owner read: its number, the site, the call, the rows' own read, donors.

Built from the read it is given, so that rows, tokens and weight stay with it. It may have a method
`alike(owner, site, call)`: owners with equal answers read the same, and are read together.
"""


@dataclass(frozen=True, eq=False)
class RegionalReads:
    """In the rows `to`, every query reads what `reading` says for the region that owns it.

    Outputs are weighted by who owns the query; the weights sum to one, so that the same reading for
    all owners is that reading, exactly. A reading sees its owner's queries alone, and all keys and
    values. `donors` are the rows it may take from.
    """

    donors: tuple[str, ...]
    to: tuple[str, ...]
    sites: tuple[Site, ...]
    ownership: Ownership
    reading: Reading
    window: Window = field(default_factory=Window)

    @property
    def takes(self) -> Takes:
        return Takes(self.donors, self.to, QKV)

    def where(self, sites: Sites) -> Sequence[Site]:
        return self.sites

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        rows = set(call.indices(self.to))
        if not rows or not self.window.holds(call.fraction):
            return reads
        groups = self._groups(site, call)
        rest = set(range(len(call.rows))) - rows
        new = [read.only(rest) for read in reads if rest.intersection(read.batch_rows)]
        for read in reads:
            if not rows.intersection(read.batch_rows):
                continue
            mine = read.only(rows)
            if len(set(groups)) == 1:
                new += self._read(0, site, call, mine)
                continue
            for held in self.ownership.held(groups, call.grid(site), mine.q):
                part = mine.at(held.tokens)
                found = self._read(held.first, site, call, part)
                if held.bias is None:  # wholly theirs
                    new += found
                    continue
                share = _share(held, mine, part)
                new += [one._replace(weight=one.weight * share) for one in found]
        return new

    def _groups(self, site: Site, call: Call) -> list[Hashable]:
        """By owner: what it reads alike with others."""
        alike = getattr(self.reading, "alike", lambda owner, site, call: owner)
        return [alike(owner, site, call) for owner in range(self.ownership.regions + 1)]

    def _read(self, owner: int, site: Site, call: Call, mine: Read) -> list[Read]:
        """What the reading says for these queries of `mine`."""
        donors = {
            name: _donor(call, mine, name) for name in self.donors if (name, "q") in call.given
        }
        found = list(self.reading(owner, site, call, mine, donors))
        for one in found:
            if one.k.shape[2] != one.v.shape[2]:
                raise SiteError(
                    f"{site.name}: {type(self.reading).__name__} reads {one.k.shape[2]} keys with "
                    f"{one.v.shape[2]} values; take both from the same row"
                )
        return found


def _donor(call: Call, mine: Read, name: str) -> Donor:
    """What a row gives a read: of its keys and values those of the text that is read."""
    q, k, v = (call.given[name, part] for part in QKV)
    if mine.text is not None:
        k, v = (part.chunk(call.texts, 2)[mine.text] for part in (k, v))
    return Donor(q, k, v, mine.tokens)


def _share(held: Held, whole: Read, part: Read) -> Tensor:
    """How much of each query of a part its owners have, [1, 1, n, 1]."""
    if whole.tokens is None:
        return held.share[None, None, :, None]
    return held.area.flatten()[part.tokens][None, None, :, None]
