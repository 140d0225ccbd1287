"""Who owns this token? One answer for rows, image tokens and text tokens."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from locstyle.engine.attend import at_tokens
from locstyle.engine.call import MIXED, Grid, Row
from locstyle.engine.kept import Kept
from locstyle.masks import Partition


class Held(NamedTuple):
    """What a group of owners has of a grid: how much of every token, and which tokens those are.

    `area` [h, w] in [0, 1], `tokens` [n] those they have any of, `share` [n] how much, and `bias`
    [1, 1, 1, n] what that adds to logits where these are keys, None where it is nothing. `first` is
    the first owner of the group.
    """

    first: int
    area: Tensor
    tokens: Tensor
    share: Tensor
    bias: Tensor | None

    def of(self, part: Tensor) -> Tensor:
        """Those tokens of [rows, heads, tokens, dim]."""
        return at_tokens(part, self.tokens)

    @property
    def is_everything(self) -> bool:
        """Whether all tokens are wholly theirs."""
        return self.bias is None and len(self.tokens) == self.area.numel()


class Ownership:
    """Weights that say how much of every token belongs to each region; they sum to 1 over regions.

    A row owned by one region is one-hot. In a `MIXED` row an image token belongs to the regions as
    the partition says at its place, and a text token to the region whose text it is part of.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._kept = Kept()

    @property
    def regions(self) -> int:
        return self._partition.regions

    def image(self, rows: Sequence[Row], grid: Grid, like: Tensor) -> Tensor:
        """Ownership of image tokens: [rows, regions + 1, h, w]."""
        mixed = self.mixed(grid, like)
        return torch.stack(
            [mixed if row.owner == MIXED else self._one_hot(row.owner, mixed) for row in rows]
        )

    def text(self, rows: Sequence[Row], texts: int, tokens: int, like: Tensor) -> Tensor:
        """Ownership of text tokens, `texts` one after another: [rows, tokens, regions + 1].

        A `MIXED` row carries one text per owner, in the order of owners.
        """
        eye = torch.eye(self.regions + 1, device=like.device, dtype=like.dtype)
        mixed = eye[:texts].repeat_interleave(tokens // texts, 0)
        return torch.stack(
            [mixed if row.owner == MIXED else eye[row.owner].expand_as(mixed) for row in rows]
        )

    def mixed(self, grid: Grid, like: Tensor) -> Tensor:
        """That of a `MIXED` row alone: [regions + 1, h, w]."""
        if grid.tile is not None:
            return grid.cut(self.mixed(grid.whole, like))
        return self._kept.get(
            grid, like, lambda: self._partition.at(grid.height, grid.width).to(like)
        )

    def held(self, groups: Sequence[Hashable], grid: Grid, like: Tensor) -> tuple[Held, ...]:
        """What each group of owners has of a `MIXED` row, in the order of their first.

        `groups`: by owner, unstyled first; owners with equal ones are one group. Groups that have
        no token at all are left out.
        """
        key = (grid, tuple(groups))
        return self._kept.get(key, like, lambda: self._grouped(groups, grid, like), grid.tile)

    def _grouped(self, groups: Sequence[Hashable], grid: Grid, like: Tensor) -> tuple[Held, ...]:
        mixed, found = self.mixed(grid, like), []
        for group in dict.fromkeys(groups):
            members = [owner for owner, one in enumerate(groups) if one == group]
            area = mixed[members].sum(0)
            tokens = area.flatten().nonzero().flatten()
            if len(tokens):
                share = area.flatten()[tokens]
                bias = share.log()[None, None, None]
                seen = bias if bool(bias.any()) else None
                found.append(Held(members[0], area, tokens, share, seen))
        return tuple(found)

    @staticmethod
    def _one_hot(owner: int, like: Tensor) -> Tensor:
        hot = torch.zeros_like(like)
        hot[owner] = 1
        return hot
