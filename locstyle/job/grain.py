"""Grain: the fine scale that a frame could not draw, matched to the photo around a region.

A region drawn on fewer pixels than the photo has is smoother than what lies beside it, and the eye
finds it by that. Grain is noise of the scales that were lost, as strong as the photo's own detail
just outside: it matches sharpness, it invents nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.photo.canvas import Canvas

BLOCK = 8
"""Photo pixels a side of the blocks whose detail is compared; edges fill few of them."""

_LUMA = (0.2126, 0.7152, 0.0722)


def grain_for(
    styled: Tensor, photo: Tensor, weight: Tensor, canvas: Canvas, draw: torch.Generator
) -> Tensor:
    """What brings the fine scale of a styled window to the photo's around it: [1, h, w], to add.

    Args:
        styled, photo: [3, h, w] in [0, 1], the window at the photo's size.
        weight: [h, w], what the paste takes of `styled`.
        draw: a CPU generator; the same grain for the same state of it.
    """
    noise = fine(torch.randn(1, *styled.shape[1:], generator=draw), canvas)
    return _missing(styled, photo, weight, canvas) / noise.std().clamp_min(1e-6) * noise


def sharpness(values: Tensor, inside: Tensor) -> float:
    """The typical gradient of luminance of a picture [3, h, w] where `inside` [h, w] is true: the
    median over blocks of their root mean square, in units of full scale a pixel."""
    grey = _grey(values)
    down, across = F.pad(grey.diff(dim=1), (0, 0, 0, 1)), F.pad(grey.diff(dim=2), (0, 1))
    return _typical((down**2 + across**2)[0], inside)


def fine(values: Tensor, canvas: Canvas) -> Tensor:
    """What a picture [C, h, w] of the window loses on the way to the canvas and back."""
    scaled = F.interpolate(values[None], canvas.content, mode="area")
    smooth = F.interpolate(scaled, values.shape[1:], mode="bicubic", align_corners=False)
    return values - smooth[0]


def _missing(styled: Tensor, photo: Tensor, weight: Tensor, canvas: Canvas) -> float:
    """The standard deviation of the fine scale that the inside lacks, typically."""
    around = _typical(fine(_grey(photo), canvas)[0] ** 2, weight == 0)
    inside = _typical(fine(_grey(styled), canvas)[0] ** 2, weight == 1)
    return float(max(0.0, around**2 - inside**2) ** 0.5)


def _typical(energy: Tensor, where: Tensor) -> float:
    """The median over blocks that lie wholly in `where` of their root mean energy; 0 without."""
    block = [min(BLOCK, side) for side in where.shape]  # a window may be narrower
    share = F.avg_pool2d(where.float()[None, None], block)[0, 0]
    means = F.avg_pool2d(energy[None, None], block)[0, 0][share == 1]
    return float(means.median()) ** 0.5 if means.numel() else 0.0


def _grey(values: Tensor) -> Tensor:
    return (values * values.new_tensor(_LUMA)[:, None, None]).sum(0, keepdim=True)
