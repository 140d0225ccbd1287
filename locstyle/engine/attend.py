"""Attention as a sum of reads: pure tensor algebra, no models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Read(NamedTuple):
    """One scaled dot-product attention, exactly as the softmax will see it.

    `q` [rows, heads, tokens, dim], `k` and `v` [rows, heads, keys, dim]. `weight` multiplies the
    output: a number or a tensor that broadcasts to [rows, heads, tokens, dim]. `bias` is added to
    the logits.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    weight: Tensor | float = 1.0
    bias: Tensor | None = None


def combine(reads: Sequence[Read]) -> Tensor:
    """Σ weight · softmax(q kᵀ/√dim + bias) v over the reads: [rows, heads, tokens, dim]."""
    total = _output(reads[0])
    for read in reads[1:]:
        total = total + _output(read)
    return total


def _output(read: Read) -> Tensor:
    output = F.scaled_dot_product_attention(read.q, read.k, read.v, attn_mask=read.bias)
    if isinstance(read.weight, float) and read.weight == 1.0:
        return output  # a lone plain read stays bit-identical to the unpatched layer
    return read.weight * output
