"""Every token reads the text of its own region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from locstyle.engine.attend import Read
from locstyle.engine.call import MIXED, Call
from locstyle.engine.ownership import Held, Ownership
from locstyle.engine.sites import Site, Sites
from locstyle.errors import SiteError


@dataclass(frozen=True)
class RegionalText:
    """Every image token attends to the text of the region it lies in.

    The texts of all owners lie one after another on the text axis; each gets its own softmax,
    weighted by ownership. Equal texts give plain cross-attention, exactly. It cuts whole reads by
    their texts, so it comes before what cuts them by their queries.
    """

    ownership: Ownership

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="cross")

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        if call.texts == 1:
            return reads
        require_whole(self, site, reads)
        return [part for read in reads for part in self._split(site, call, read)]

    def _split(self, site: Site, call: Call, read: Read) -> list[Read]:
        mixed = {index for index in read.batch_rows if call.rows[index].owner == MIXED}
        single = set(read.batch_rows) - mixed
        # A row with one owner repeats its one text, so the first one alone is the whole of it.
        new = [of_text(call, read.only(single), 0)] if single else []
        if mixed:
            owners = range(self.ownership.regions + 1)
            mine = read.only(mixed) if single else read
            for held in self.ownership.held(owners, call.grid(site), read.q):
                new.append(of_text(call, owned(mine, held), held.first))
        return new


def of_text(call: Call, read: Read, text: int) -> Read:
    """A whole read of one of the row's texts."""
    k, v = (part.chunk(call.texts, 2)[text] for part in (read.k, read.v))
    return read._replace(k=k, v=v, text=text)


def owned(read: Read, held: Held) -> Read:
    """A whole read at the queries that some owners have a share in, weighted by it."""
    if held.is_everything:
        return read
    part = read.at(held.tokens)
    return part if held.bias is None else part._replace(weight=held.share[None, None, :, None])


def require_whole(who: object, site: Site, reads: Sequence[Read]) -> None:
    """Refuses reads that another intervention has cut up already.

    Raises:
        SiteError: names the site and the intervention that asks.
    """
    if not all(read.is_whole for read in reads):
        raise SiteError(
            f"{site.name}: {type(who).__name__} takes the texts of whole reads apart, and another "
            "intervention has cut these up before it; give it first in the plan, and of "
            "RegionalText and ExtraTokens only one"
        )
