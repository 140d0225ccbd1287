"""What a style is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from locstyle.errors import StyleError


@dataclass(frozen=True, eq=False)
class Delta:
    """A low-rank update of one layer's weight: `scale · up · down`.

    `down` is [rank, in] for a linear layer and [rank, in, kh, kw] for a convolution, `up` is
    [out, rank] or [out, rank, 1, 1]. `bias` [out] is added to the layer's own, as it is.
    """

    down: Tensor
    up: Tensor
    scale: float = 1.0
    bias: Tensor | None = None

    @property
    def numbers(self) -> int:
        """How many numbers it is made of."""
        bias = 0 if self.bias is None else self.bias.numel()
        return self.down.numel() + self.up.numel() + bias

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def to(self, dtype: torch.dtype) -> Delta:
        """The same with its numbers in another dtype."""
        bias = None if self.bias is None else self.bias.to(dtype)
        return replace(self, down=self.down.to(dtype), up=self.up.to(dtype), bias=bias)

    @property
    def weight(self) -> Tensor:
        """The update written out, in the shape of the layer's weight and its own dtype."""
        return self.scale * (self.up.flatten(1) @ self.down.flatten(1)).reshape(
            self.up.shape[0], *self.down.shape[1:]
        )


@dataclass(frozen=True, eq=False)
class Gain:
    """What a style adds to a norm's weight and to its bias, [channels] each."""

    weight: Tensor
    bias: Tensor

    def __post_init__(self) -> None:
        if self.weight.ndim != 1 or self.weight.shape != self.bias.shape or not len(self.bias):
            raise StyleError(
                f"gain: weight {tuple(self.weight.shape)} and bias {tuple(self.bias.shape)}; "
                "give [channels] each"
            )

    def to(self, dtype: torch.dtype) -> Gain:
        """The same with its numbers in another dtype."""
        return Gain(self.weight.to(dtype), self.bias.to(dtype))


@dataclass(frozen=True, eq=False)
class Tokens:
    """Extra keys and values of one cross-attention: `k` and `v`, [n, inner] each."""

    k: Tensor
    v: Tensor

    def __post_init__(self) -> None:
        if self.k.ndim != 2 or self.k.shape != self.v.shape or 0 in self.k.shape:
            raise StyleError(
                f"tokens: keys {tuple(self.k.shape)} and values {tuple(self.v.shape)}; "
                "give [n, inner] each"
            )


def check_words(placeholder: str, vectors: Tensor) -> None:
    """Refuses what cannot stand for a placeholder in a prompt.

    Raises:
        StyleError: the placeholder is empty or holds spaces, or the vectors are no floats [n, d].
    """
    if not placeholder or placeholder != "".join(placeholder.split()):
        raise StyleError(f"words: placeholder {placeholder!r}; give one word, such as '<ink>'")
    if vectors.ndim != 2 or 0 in vectors.shape or not vectors.is_floating_point():
        raise StyleError(
            f"words: {placeholder!r} is {vectors.dtype} {tuple(vectors.shape)}; "
            "give floats [n, d], one row for each token it stands for"
        )
