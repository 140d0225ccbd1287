"""Who owns this token? One answer for rows, image tokens and text tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from locstyle.engine.intervene import MIXED, Row
from locstyle.masks import Partition


class Ownership:
    """Weights that say how much of every token belongs to each region; they sum to 1 over regions.

    A row owned by one region is one-hot. In a `MIXED` row an image token belongs to the regions as
    the partition says at its place, and a text token to the region whose text it is part of.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._at: dict[tuple[int, int, torch.device, torch.dtype], Tensor] = {}

    @property
    def regions(self) -> int:
        return self._partition.regions

    def image(self, rows: Sequence[Row], size: tuple[int, int], like: Tensor) -> Tensor:
        """Ownership of image tokens at `size` (height, width): [rows, regions + 1, h, w]."""
        mixed = self.mixed(size, like)
        return torch.stack(
            [mixed if row.owner == MIXED else self._one_hot(row.owner, mixed) for row in rows]
        )

    def text(self, rows: Sequence[Row], segments: int, tokens: int, like: Tensor) -> Tensor:
        """Ownership of text tokens, `segments` texts one after another: [rows, tokens, regions +
        1].

        A `MIXED` row carries one text per owner, in the order of owners.
        """
        eye = torch.eye(self.regions + 1, device=like.device, dtype=like.dtype)
        mixed = eye[:segments].repeat_interleave(tokens // segments, 0)
        return torch.stack(
            [mixed if row.owner == MIXED else eye[row.owner].expand_as(mixed) for row in rows]
        )

    def mixed(self, size: tuple[int, int], like: Tensor) -> Tensor:
        """That of a `MIXED` row alone: [regions + 1, h, w]."""
        key = (*size, like.device, like.dtype)
        if key not in self._at:
            self._at[key] = self._partition.at(*size).to(like)
        return self._at[key]

    @staticmethod
    def _one_hot(owner: int, like: Tensor) -> Tensor:
        hot = torch.zeros_like(like)
        hot[owner] = 1
        return hot
