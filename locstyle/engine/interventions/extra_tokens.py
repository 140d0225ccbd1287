"""Keys and values beside the text's, each region's for the queries it owns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.call import MIXED, Call, Row
from locstyle.engine.interventions.text import require_whole
from locstyle.engine.ownership import Ownership
from locstyle.engine.scene import SceneRegion
from locstyle.engine.sites import Site, Sites

Form = Literal["reads", "bias"]


@dataclass(frozen=True, eq=False)
class ExtraTokens:
    """Every image token reads its region's text and its style's tokens in one softmax.

    out = Σ_r own_r · A(q; [T_r; s_r e_r]), arXiv:2403.06951 eq. 4 for each region r, with s_r the
    style's strength on keys and values alike; the tokens of several styles of a region stand side
    by side. It takes the place of `RegionalText`: text and tokens share a softmax, so they cannot
    be split apart.

    Where a region's tokens are absent (rows in `absent`, sites in `without`, outside its window)
    zeros stand in their place and take their share of the softmax, as in the published model.
    Owners without a style of tokens read `outside` zeros; 0 is the backbone's own layer, exactly.
    Rows in neither `to` nor `absent` are left as they are.

    `form`: "reads" is one attention per owner, weighted by ownership. "bias" is a single softmax
    over all owners' texts and tokens, in which a query sees its owner's alone. That equals the
    former where every token has one owner; layers where some have several still take "reads".
    """

    regions: Sequence[SceneRegion]
    ownership: Ownership
    to: Collection[str]
    absent: Collection[str] = ()
    without: Collection[str] = ()
    outside: int = 0
    form: Form = "reads"

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="cross")

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        names = {*self.to, *self.absent}
        mine = {index for index, row in enumerate(call.rows) if row.name in names}
        rest = set(range(len(call.rows))) - mine
        require_whole(self, site, [read for read in reads if mine.intersection(read.batch_rows)])
        new = [read.only(rest) for read in reads if rest.intersection(read.batch_rows)]
        for read in reads:
            for index in mine.intersection(read.batch_rows):
                row = call.rows[index]
                parts = list(self._owned(site, call, row, read.only((index,))))
                new += [_one_softmax(parts)] if self.form == "bias" and _hard(parts) else parts
        return new

    def _owned(self, site: Site, call: Call, row: Row, read: Read) -> Iterator[Read]:
        """What each owner of tokens of a row reads, weighted by how much of them it owns."""
        texts = list(zip(read.k.chunk(call.texts, 2), read.v.chunk(call.texts, 2), strict=True))
        shares = self.ownership.image((row,), call.grid(site), read.q)[0].flatten(1)
        for owner, share in enumerate(shares):
            if not bool(share.any()):
                continue
            # A row with one owner repeats its one text.
            text = owner if row.owner == MIXED and call.texts > 1 else 0
            k, v = texts[text]
            extra_k, extra_v = self._tokens(site, call, row, owner, k)
            yield read._replace(
                k=torch.cat([k, extra_k], 2),
                v=torch.cat([v, extra_v], 2),
                weight=share[None, None, :, None] * read.weight,
                text=text,
            )

    def _tokens(
        self, site: Site, call: Call, row: Row, owner: int, like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The owner's keys and values in the layout of `like`, zeros where they are absent."""
        styles = self.regions[owner - 1].styles if owner else ()
        given = [
            (one, one.style.tokens[site.name]) for one in styles if site.name in one.style.tokens
        ]
        if not given:
            zeros = _zeros(self.outside, like)
            return zeros, zeros
        silent = row.name in self.absent or site.name in self.without
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for one, tokens in given:
            absent = silent or not one.window.holds(call.fraction)
            for found, part in ((keys, tokens.k), (values, tokens.v)):
                found.append(
                    _zeros(len(part), like) if absent else one.strength * _heads(part, like)
                )
        return torch.cat(keys, 2), torch.cat(values, 2)


def _zeros(count: int, like: Tensor) -> Tensor:
    return like.new_zeros(*like.shape[:2], count, like.shape[-1])


def _heads(tokens: Tensor, like: Tensor) -> Tensor:
    """[n, inner] as [1, heads, n, dim], where and in what `like` is."""
    return tokens.to(like).unflatten(-1, (like.shape[1], -1)).transpose(0, 1)[None]


def _hard(parts: Sequence[Read]) -> bool:
    """Whether every query has one owner."""
    return all(
        bool(((part.weight == 0) | (part.weight == 1)).all())
        for part in parts
        if isinstance(part.weight, Tensor)
    )


def _one_softmax(parts: Sequence[Read]) -> Read:
    """Reads of the same queries as one: a bias hides from a query what is not its owner's."""
    biases = [
        torch.where(torch.as_tensor(part.weight) > 0, 0.0, -torch.inf)
        .to(part.q)
        .expand(1, 1, part.q.shape[2], part.k.shape[2])
        for part in parts
    ]
    return parts[0]._replace(
        k=torch.cat([part.k for part in parts], 2),
        v=torch.cat([part.v for part in parts], 2),
        weight=1.0,
        bias=torch.cat(biases, -1),
    )
