"""Attention as a sum of reads: pure tensor algebra, no models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Read(NamedTuple):
    """One scaled dot-product attention, exactly as the softmax will see it.

    `q` [rows, heads, tokens, dim], `k` and `v` [rows, heads, keys, dim]. `weight` multiplies the
    output: a number or a tensor that broadcasts to [rows, heads, tokens, dim]. `bias` is added to
    the logits. `rows` are the rows of the batch it is for, in this order; None: all of them.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    weight: Tensor | float = 1.0
    bias: Tensor | None = None
    rows: tuple[int, ...] | None = None

    @property
    def batch_rows(self) -> tuple[int, ...]:
        """The rows of the batch it is for, by number."""
        return tuple(range(self.q.shape[0])) if self.rows is None else self.rows

    def only(self, rows: Collection[int]) -> Read:
        """The same read for those of its rows that are among `rows`; it may be left with none."""
        mine = self.batch_rows
        kept = [index for index, row in enumerate(mine) if row in rows]

        def narrow(part: Tensor) -> Tensor:
            return part[kept] if part.shape[0] == len(mine) else part  # one row serves all

        return Read(
            self.q[kept],
            self.k[kept],
            self.v[kept],
            narrow(self.weight) if isinstance(self.weight, Tensor) else self.weight,
            None if self.bias is None else narrow(self.bias),
            tuple(mine[index] for index in kept),
        )


def combine(reads: Sequence[Read]) -> Tensor:
    """Σ weight · softmax(q kᵀ/√dim + bias) v over the reads: [rows, heads, tokens, dim]."""
    total = None
    for read in reads:
        if read.rows is None:
            total = _output(read) if total is None else total + _output(read)
    parts = [read for read in reads if read.rows]
    if not parts:
        assert total is not None  # every row is read by somebody
        return total
    if total is None:
        rows = 1 + max(row for read in parts for row in read.batch_rows)
        total = parts[0].q.new_zeros(rows, *parts[0].q.shape[1:3], parts[0].v.shape[-1])
    else:
        total = total.clone()
    for read in parts:
        total[list(read.batch_rows)] += _output(read)
    return total


def _output(read: Read) -> Tensor:
    output = F.scaled_dot_product_attention(read.q, read.k, read.v, attn_mask=read.bias)
    if isinstance(read.weight, float) and read.weight == 1.0:
        return output  # a lone plain read stays bit-identical to the unpatched layer
    return read.weight * output
