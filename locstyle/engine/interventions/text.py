"""Every token reads the text of its own region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from locstyle.engine.attend import Read
from locstyle.engine.call import MIXED, Call
from locstyle.engine.ownership import Ownership
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
        rows = [call.rows[index] for index in read.batch_rows]
        own = self.ownership.image(rows, call.grid(site), read.q).flatten(2)
        # A row with one owner repeats its one text, so the first one alone is the whole of it.
        single = torch.tensor([row.owner != MIXED for row in rows], device=own.device)
        first = torch.zeros_like(own)
        first[:, 0] = 1
        own = torch.where(single[:, None, None], first, own)[:, :, None, :, None]
        keys, values = read.k.chunk(call.texts, 2), read.v.chunk(call.texts, 2)
        return [
            read._replace(k=k, v=v, weight=own[:, text] * read.weight, text=text)
            for text, (k, v) in enumerate(zip(keys, values, strict=True))
        ]


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
