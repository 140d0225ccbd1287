"""Attention as a sum of reads: pure tensor algebra, no models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Read(NamedTuple):
    """One scaled dot-product attention, exactly as the softmax will see it.

    `q` [rows, heads, tokens, dim], `k` and `v` [rows, heads, keys, dim]. `weight` multiplies the
    output: a number or a tensor that broadcasts to [rows, heads, tokens, dim]. `bias` is added to
    the logits. `rows` are the rows of the batch it is for, in this order, `tokens` [n] the query
    tokens, and `text` says which of several texts its keys are; None: all of them.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    weight: Tensor | float = 1.0
    bias: Tensor | None = None
    rows: tuple[int, ...] | None = None
    tokens: Tensor | None = None
    text: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all that its rows read, in one softmax."""
        is_cut = self.tokens is not None or self.text is not None
        return not is_cut and isinstance(self.weight, float) and self.weight == 1.0

    @property
    def batch_rows(self) -> tuple[int, ...]:
        """The rows of the batch it is for, by number."""
        return tuple(range(self.q.shape[0])) if self.rows is None else self.rows

    def taking(self, **parts: Tensor) -> Read:
        """The same read with some of q, k and v those of one other row, for all of its rows."""
        rows = self.q.shape[0]
        new = {name: part.expand(rows, *part.shape[1:]) for name, part in parts.items()}
        return self._replace(q=new.get("q", self.q), k=new.get("k", self.k), v=new.get("v", self.v))

    def only(self, rows: Collection[int]) -> Read:
        """The same read for those of its rows that are among `rows`; it may be left with none."""
        mine = self.batch_rows
        kept = [index for index, row in enumerate(mine) if row in rows]
        if len(kept) == len(mine):
            return self

        where = together(kept) if kept else []

        def narrow(part: Tensor) -> Tensor:
            return part[where] if part.shape[0] == len(mine) else part  # one row serves all

        return self._replace(
            q=self.q[where],
            k=self.k[where],
            v=self.v[where],
            weight=narrow(self.weight) if isinstance(self.weight, Tensor) else self.weight,
            bias=None if self.bias is None else narrow(self.bias),
            rows=tuple(mine[index] for index in kept),
        )

    def at(self, tokens: Tensor) -> Read:
        """The same read for those of its query tokens that are among `tokens` [n]."""
        places = tokens
        if self.tokens is not None:
            places = torch.isin(self.tokens, tokens).nonzero().flatten()
            tokens = self.tokens[places]
        whole = self.q.shape[2]

        def narrow(part: Tensor) -> Tensor:
            return at_tokens(part, places) if part.shape[2] == whole else part

        return self._replace(
            q=at_tokens(self.q, places),
            weight=narrow(self.weight) if isinstance(self.weight, Tensor) else self.weight,
            bias=None if self.bias is None else narrow(self.bias),
            tokens=tokens,
        )


def combine(reads: Sequence[Read], tokens: int | None = None) -> Tensor:
    """Σ weight · softmax(q kᵀ/√dim + bias) v over the reads: [rows, heads, tokens, dim].

    `tokens` is how many query tokens there are, where every read is for some of them only.
    """
    total = None
    for read in reads:
        if read.rows is None and read.tokens is None:
            total = _output(read) if total is None else total + _output(read)
    parts = [read for read in reads if read.rows or (read.rows is None and read.tokens is not None)]
    if not parts:
        assert total is not None  # every row is read by somebody
        return total
    # By token, then head, as outputs of attention lie: rows of tokens add up without a copy.
    whole = _empty(parts, tokens) if total is None else total.transpose(1, 2).clone()
    for read in parts:
        output, rows = _output(read).transpose(1, 2), together(read.batch_rows)
        if read.tokens is None:
            whole[rows] += output
        elif isinstance(rows, slice):
            whole[rows].index_add_(1, read.tokens, output)
        else:
            whole[rows] = whole[rows].index_add(1, read.tokens, output)
    return whole.transpose(1, 2)


def together(rows: Sequence[int]) -> list[int] | slice:
    """Rows of a batch as an index: neighbours as a slice, which reads and writes without a copy."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if tuple(rows) == tuple(range(first, last + 1)) else list(rows)


def at_tokens(part: Tensor, tokens: Tensor) -> Tensor:
    """Some tokens of [rows, heads, tokens, dim], taken where a token's heads lie side by side."""
    return part.transpose(1, 2).index_select(1, tokens).transpose(1, 2)


def _empty(parts: Sequence[Read], tokens: int | None) -> Tensor:
    rows = 1 + max(row for read in parts for row in read.batch_rows)
    whole = [read.q.shape[2] for read in parts if read.tokens is None]
    shape = (rows, tokens or max(whole), parts[0].q.shape[1], parts[0].v.shape[-1])
    return parts[0].q.new_zeros(shape)


def _output(read: Read) -> Tensor:
    output = F.scaled_dot_product_attention(read.q, read.k, read.v, attn_mask=read.bias)
    if isinstance(read.weight, float) and read.weight == 1.0:
        return output  # a lone plain read stays bit-identical to the unpatched layer
    return read.weight * output
