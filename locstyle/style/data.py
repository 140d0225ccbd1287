"""What a style is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Delta:
    """A low-rank update of one layer's weight: `scale · up · down`.

    `down` is [rank, in] for a linear layer and [rank, in, kh, kw] for a convolution, `up` is
    [out, rank] or [out, rank, 1, 1].
    """

    down: Tensor
    up: Tensor
    scale: float = 1.0

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def weight(self) -> Tensor:
        """The update written out, in the shape of the layer's weight and its own dtype."""
        return self.scale * (self.up.flatten(1) @ self.down.flatten(1)).reshape(
            self.up.shape[0], *self.down.shape[1:]
        )
