"""Low-rank updates stacked along the rank, and the places where they act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.style import Delta

Rows = list[int] | slice


class Stack(NamedTuple):
    """Several deltas of one layer, one below the other along the rank.

    What a delta adds to a bias is a rank of its own, whose number is always 1: `ones` [rank] is 1
    there and 0 elsewhere, None where there is none.
    """

    down: Tensor
    up: Tensor
    ranks: tuple[int, ...]
    ones: Tensor | None = None

    @classmethod
    def of(cls, parts: Sequence[tuple[Delta, float]], like: Tensor) -> Stack:
        """Deltas with how strongly each acts, where and in what `like` is."""
        down = torch.cat([_down(delta) for delta, _ in parts]).to(like)
        up = torch.cat([_up(delta, strength) for delta, strength in parts], 1)
        ranks = tuple(delta.rank + (delta.bias is not None) for delta, _ in parts)
        if all(delta.bias is None for delta, _ in parts):
            return cls(down, up.to(like), ranks)
        ones = torch.zeros(len(down)).to(like)
        ends = torch.tensor(ranks).cumsum(0) - 1
        ones[ends[[delta.bias is not None for delta, _ in parts]]] = 1
        return cls(down, up.to(like), ranks, ones)

    def shrink(self, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
        """down(x); a convolution's padding is that of a "same" one unless said otherwise."""
        if self.down.ndim == 2:
            return F.linear(x, self.down, self.ones)
        padding = self.down.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, self.down, self.ones, stride=stride, padding=padding)

    def expand(self, inner: Tensor) -> Tensor:
        """up(inner)."""
        if self.up.ndim == 2:
            return F.linear(inner, self.up)
        if inner.is_contiguous(memory_format=torch.channels_last):
            # the same product: pixels lie as tokens do, and matrices are faster than convolutions
            return F.linear(inner.movedim(1, -1), self.up.flatten(1)).movedim(-1, 1)
        return F.conv2d(inner, self.up)

    def at(self, x: Tensor, y: Tensor) -> Tensor:
        """up(down(x)) for a layer with output `y`."""
        return self.expand(self.shrink(x, _stride(x, y)))


def _down(delta: Delta) -> Tensor:
    """With a rank that reads nothing where a bias is."""
    down = delta.down
    return down if delta.bias is None else torch.cat([down, torch.zeros_like(down[:1])])


def _up(delta: Delta, strength: float) -> Tensor:
    up = strength * delta.scale * delta.up.float()
    if delta.bias is None:
        return up
    bias = strength * delta.bias.float()
    return torch.cat([up, bias.reshape(-1, *(1,) * (up.ndim - 1))], 1)


class Place(Protocol):
    """Where in a layer's output a stack acts."""

    def add(self, y: Tensor, stack: Stack, x: Tensor, rows: Rows) -> None:
        """Add the update to rows of `y`, the output for input `x`, in place."""
        ...


class AllTokens(NamedTuple):
    """All tokens, each rank weighted by its owner: `own` in the layout of down(x); None: by 1."""

    own: Tensor | None

    def add(self, y: Tensor, stack: Stack, x: Tensor, rows: Rows) -> None:
        inner = stack.shrink(x[rows], _stride(x, y))
        y[rows] += stack.expand(inner if self.own is None else inner * self.own)


class SomeTokens(NamedTuple):
    """Some tokens of [rows, tokens, channels], weighted by `share` [n, 1]; None: by 1. `size` is
    how many they are."""

    tokens: Tensor | slice
    share: Tensor | None
    size: int

    @classmethod
    def of(cls, area: Tensor) -> SomeTokens | None:
        """Those with a share in `area` [tokens], if there are any."""
        tokens = area.nonzero().flatten()
        if not len(tokens):
            return None
        first, last = int(tokens[0]), int(tokens[-1])
        share = area[tokens][:, None]
        where = slice(first, last + 1) if last - first + 1 == len(tokens) else tokens
        return cls(where, None if bool((share == 1).all()) else share, len(tokens))

    def add(self, y: Tensor, stack: Stack, x: Tensor, rows: Rows) -> None:
        given = x[rows]
        if isinstance(self.tokens, slice):
            given = given[:, self.tokens]
        else:
            given = given.index_select(1, self.tokens)
        inner = stack.shrink(given)
        out = stack.expand(inner if self.share is None else inner * self.share)
        if isinstance(self.tokens, slice):
            y[rows, self.tokens] += out
        else:
            y[rows] = y[rows].index_add_(1, self.tokens, out)


class PixelBox(NamedTuple):
    """A box of pixels of [rows, channels, h, w], weighted by `share` [h, w] in it; None: by 1."""

    top: int
    left: int
    bottom: int
    right: int
    share: Tensor | None

    @classmethod
    def of(cls, area: Tensor) -> PixelBox | None:
        """What is around the share in `area` [h, w], if there is any."""
        rows, columns = (area.any(axis).nonzero().flatten() for axis in (1, 0))
        if not len(rows):
            return None
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        share = area[top:bottom, left:right]
        weight = None if bool((share == 1).all()) else share
        return cls(int(top), int(left), int(bottom), int(right), weight)

    @property
    def size(self) -> int:
        """How many pixels it has."""
        return (self.bottom - self.top) * (self.right - self.left)

    def add(self, y: Tensor, stack: Stack, x: Tensor, rows: Rows) -> None:
        stride, reach = _stride(x, y), stack.down.shape[-1]
        given = _window(x[rows], (self.top, self.bottom), -2, stride, reach)
        given = _window(given, (self.left, self.right), -1, stride, reach)
        inner = stack.shrink(given, stride, padding=0)
        out = stack.expand(inner if self.share is None else inner * self.share)
        y[rows, :, self.top : self.bottom, self.left : self.right] += out


def _stride(x: Tensor, y: Tensor) -> int:
    """The layer's own stride, read off its input and output."""
    return x.shape[-1] // y.shape[-1] if x.ndim == 4 else 1


def _window(x: Tensor, span: tuple[int, int], axis: int, stride: int, reach: int) -> Tensor:
    """What a "same" convolution reaches for a span of its output, zeros beyond the edge."""
    first, last = span[0] * stride - reach // 2, (span[1] - 1) * stride + reach - reach // 2
    low, high = max(0, -first), max(0, last - x.shape[axis])
    inside = x.narrow(axis, first + low, last - high - first - low)
    edges = (0, 0, low, high) if axis == -2 else (low, high, 0, 0)
    return F.pad(inside, edges) if low or high else inside
