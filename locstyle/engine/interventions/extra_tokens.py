"""Keys and values beside the text's, each region's for the queries it owns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.call import MIXED, Call, Row
from locstyle.engine.interventions.text import owned, require_whole
from locstyle.engine.ownership import Ownership
from locstyle.engine.scene import SceneRegion
from locstyle.engine.sites import Site, Sites

Form = Literal["reads", "bias"]


@dataclass(frozen=True, eq=False)
class ExtraTokens:
    """Every image token reads its region's text and its style's tokens in one softmax.

    out = Σ_r own_r · A(q; [T_r; s_r e_r]), DEADiff's (arXiv:2403.06951; docs/methods.md eq. 2.1)
    for each region r, with s_r the style's strength on keys and values alike; the tokens of several
    styles of a region stand side by side. It takes the place of `RegionalText`: text and tokens
    share a softmax, so they cannot be split apart. A row that one region owns reads that region's
    tokens at all its queries, which is how such tokens are learned.

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
        mixed = {index for index in mine if call.rows[index].owner == MIXED}
        rest = set(range(len(call.rows))) - mine
        require_whole(self, site, [read for read in reads if mine.intersection(read.batch_rows)])
        new = [read.only(rest) for read in reads if rest.intersection(read.batch_rows)]
        for read in reads:
            if mixed.intersection(read.batch_rows):
                new += self._mixed(site, call, read.only(mixed))
            if single := (mine - mixed).intersection(read.batch_rows):
                new += self._single(site, call, read.only(single))
        return new

    def _mixed(self, site: Site, call: Call, read: Read) -> list[Read]:
        """What each owner's tokens read, weighted by how much of them it owns."""
        owners = range(self.ownership.regions + 1)
        held = self.ownership.held(owners, call.grid(site), read.q)
        if self.form == "bias" and all(one.bias is None for one in held):
            found = []
            for some in _alike(call, read, owners):
                parts = [self._beside(site, call, some, [one.first]) for one in held]
                found.append(_one_softmax(parts, [one.area for one in held]))
            return found
        return [
            self._beside(site, call, some, [one.first])
            for one in held
            for some in _alike(call, owned(read, one), [one.first])
        ]

    def _single(self, site: Site, call: Call, read: Read) -> Iterator[Read]:
        """What rows with one owner read; rows with equally many tokens in and beside the text
        together."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index in read.batch_rows:
            row = call.rows[index]
            count = self._tokens(site, call, row, row.owner, read.k)[0].shape[2]
            groups.setdefault((count, row.copies_of(0)), []).append(index)
        for rows in groups.values():
            owners = [call.rows[index].owner for index in rows]
            yield self._beside(site, call, read.only(rows), owners)

    def _beside(self, site: Site, call: Call, read: Read, owners: Sequence[int]) -> Read:
        """A read of one text and of the tokens of each row's owner, or of one owner's for all."""
        rows = [call.rows[index] for index in read.batch_rows]
        # A row with one owner repeats its one text.
        text = owners[0] if rows[0].owner == MIXED and call.texts > 1 else 0
        k, v = (part.chunk(call.texts, 2)[text] for part in (read.k, read.v))
        # One copy of the text: beside several, the tokens would count less.
        once = k.shape[2] // rows[0].copies_of(text)
        k, v = k[:, :, :once], v[:, :, :once]
        of_row = owners if len(owners) == len(rows) else [owners[0]] * len(rows)
        more = [self._tokens(site, call, *one, k) for one in zip(rows, of_row, strict=True)]
        more_k, more_v = (torch.cat(parts) for parts in zip(*more, strict=True))
        return read._replace(k=torch.cat([k, more_k], 2), v=torch.cat([v, more_v], 2), text=text)

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


def _alike(call: Call, read: Read, texts: Iterable[int]) -> Iterator[Read]:
    """The read, by rows in which these texts stand equally often."""
    groups: dict[tuple[int, ...], set[int]] = {}
    for index in read.batch_rows:
        copies = tuple(call.rows[index].copies_of(text) for text in texts)
        groups.setdefault(copies, set()).add(index)
    yield from (read.only(rows) for rows in groups.values())


def cross_sites(sites: Sites) -> list[Site]:
    """The cross-attentions from the input to the output, in the order DEADiff numbers them."""
    order = ("down", "mid", "up")
    return sorted(sites.where(role="cross"), key=lambda site: (order.index(site.stage), site.depth))


def content_sites(sites: Sites) -> list[Site]:
    """Those that read what a picture shows, layers 4 to 8 in the middle; all others read how it is
    made (docs/methods.md eq. 2.1).

    *Deviation:* in SDXL, which has no attention at full size, the last layer of the encoder, the
    middle and the first of the decoder. InstantStyle, arXiv:2404.02733, finds what is where in the
    first of these, B-LoRA, arXiv:2403.14572, what there is in the last, and both how it is made in
    the decoder's second.
    """
    ordered = cross_sites(sites)
    if any(site.scale == 1 for site in ordered):
        return ordered[4:9]
    layers = list(dict.fromkeys((site.stage, site.depth) for site in ordered))
    middle = next((n for n, (stage, _) in enumerate(layers) if stage == "mid"), 0)
    around = layers[max(0, middle - 1) : middle + 2]
    return [site for site in ordered if (site.stage, site.depth) in around]


def _zeros(count: int, like: Tensor) -> Tensor:
    return like.new_zeros(1, like.shape[1], count, like.shape[-1])


def _heads(tokens: Tensor, like: Tensor) -> Tensor:
    """[n, inner] as [1, heads, n, dim], where and in what `like` is."""
    return tokens.to(like).unflatten(-1, (like.shape[1], -1)).transpose(0, 1)[None]


def _one_softmax(parts: Sequence[Read], areas: Sequence[Tensor]) -> Read:
    """Reads of the same queries as one: a bias hides from a query what is not its owner's."""
    biases = [
        torch.where(area.flatten()[:, None] > 0, 0.0, -torch.inf)
        .to(part.q)
        .expand(1, 1, part.q.shape[2], part.k.shape[2])
        for part, area in zip(parts, areas, strict=True)
    ]
    return parts[0]._replace(
        k=torch.cat([part.k for part in parts], 2),
        v=torch.cat([part.v for part in parts], 2),
        bias=torch.cat(biases, -1),
    )
