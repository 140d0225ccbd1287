"""Everything mode: a grid of clicks, and of what they find the sure, stable and different masks.

The method is SamAutomaticMaskGenerator's of facebookresearch/segment-anything, without crops.
*Deviation:* written anew over low-resolution logits. The generator on the package index holds
batches of masks at the photo's size. And it builds the categories of its non-maximum suppression
on the CPU while boxes and scores lie on the GPU, which fails where torchvision goes through them
class by class, as it does for many boxes. Here stability and boxes are judged on the logits as the
model gives them, no categories are needed, and what is kept is enlarged one mask at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import locstyle as ls

from .models import Encoded, Model

if TYPE_CHECKING:
    from . import Sam

_OFFSET = 1.0  # of the cutoffs that stability compares, in logits


def everything(model: Model, encoded: Encoded, options: Sam.Options) -> list[ls.Segment]:
    """All objects, largest first.

    Raises:
        SegmenterError: no mask is sure and stable enough.
    """
    from torchvision.ops import nms

    found = [_sure(*batch, encoded, options) for batch in _clicks(model, encoded, options)]
    low, boxes, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
    # All masks are of one category, so plain suppression is enough and no ids need a device.
    kept = nms(boxes, scores, options.max_overlap).tolist()
    segments = ls.order_segments(encoded.frame.segment(low[i], float(scores[i])) for i in kept)
    if not segments:
        raise ls.NothingError(
            f"segmenter 'sam': none of the masks of {options.grid} × {options.grid} points is sure "
            f"and stable enough; lower min_iou ({options.min_iou:g}) or min_stability "
            f"({options.min_stability:g})"
        )
    return segments


def _clicks(
    model: Model, encoded: Encoded, options: Sam.Options
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits [masks, h, w] and predicted IoUs [masks] of batches of the grid."""
    height, width = encoded.frame.photo
    steps = [(i + 0.5) / options.grid for i in range(options.grid)]
    points = encoded.frame.into([[(x * width, y * height)] for y in steps for x in steps])
    for batch in points.split(options.batch):
        labels = torch.ones(batch.shape[:2], dtype=torch.int)
        low, scores = model.decode(encoded, batch, labels, None, several=True)
        yield low.flatten(0, 1), scores.flatten(0, 1)


def _sure(
    low: Tensor, scores: Tensor, encoded: Encoded, options: Sam.Options
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, boxes [masks, 4] and scores of the masks that are sure, stable and not empty.

    Kept logits are float16: half the memory, and the sign, which makes the mask, survives.
    """
    part = encoded.frame.cut(low)
    inside = part > 0
    keep = inside.flatten(1).any(1) & (_stability(part) >= options.min_stability)
    if options.min_iou > 0:
        keep &= scores > options.min_iou
    return low[keep].half(), _boxes(inside[keep]), scores[keep]


def _stability(part: Tensor) -> Tensor:
    """IoU of each mask at a strict and at a lax cutoff [masks]."""
    strict, lax = ((part > cutoff).flatten(1).sum(1) for cutoff in (_OFFSET, -_OFFSET))
    return strict / lax.clamp(min=1)


def _boxes(inside: Tensor) -> Tensor:
    """(x0, y0, x1, y1) around masks [masks, h, w] that are not empty, the last exclusive."""
    ends = []
    for axis in (1, 2):  # first the columns, then the rows
        line = inside.any(axis).int()
        ends.append((line.argmax(1), line.shape[1] - line.flip(1).argmax(1)))
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], 1).float()
