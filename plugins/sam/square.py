"""Where a photo lies in the square that a model looks at, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

import locstyle as ls


@dataclass(frozen=True)
class Square:
    """A photo in a model's square; all sizes are (height, width).

    Attributes:
        photo: its size in pixels.
        side: of the model's square, in pixels.
        inside: the part of the square that is the photo, from the top left.
        pads: SAM scales the long side to the square's and pads the rest; SAM 2 stretches.
    """

    photo: tuple[int, int]
    side: int
    inside: tuple[int, int]
    pads: bool

    def into(self, places: Sequence[Sequence[Sequence[float]]]) -> Tensor:
        """Places in photo pixels [..., (x, y)] as float32 pixels of the square."""
        scale = [self.inside[1] / self.photo[1], self.inside[0] / self.photo[0]]
        # Multiplied in float64 and then rounded, as both libraries do.
        product = torch.tensor(places, dtype=torch.float64) * torch.tensor(scale).double()
        return product.float()

    def cut(self, low: Tensor) -> Tensor:
        """The part of low-resolution logits [..., h, w] that lies on the photo, rounded up."""
        height, width = low.shape[-2:]
        rows = math.ceil(self.inside[0] * height / self.side)
        columns = math.ceil(self.inside[1] * width / self.side)
        return low[..., :rows, :columns]

    def segment(self, low: Tensor, score: float) -> ls.Segment:
        """Low-resolution logits [h, w] enlarged to the photo, where they are above 0.

        Padding is cut off at the square's own size, not before, as both libraries do: the logits'
        pixels do not end where the photo does.
        """
        low = low.float()
        if self.pads:
            square = functional.interpolate(
                low[None, None], (self.side, self.side), mode="bilinear"
            )
            low = square[0, 0, : self.inside[0], : self.inside[1]]
        score = min(max(score, 0.0), 1.0)  # SAM's estimate is a regression and may overshoot
        return ls.Segment.from_low(low.cpu().numpy(), self.photo, threshold=0.0, score=score)
