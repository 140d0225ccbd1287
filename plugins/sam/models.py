"""The models behind one seam: a photo is encoded once, prompts are decoded to small logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol  # both libraries are untyped

import numpy as np
import torch
from torch import Tensor

from .lean import lean_attention
from .square import Square

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Encoded:
    """A photo as a model keeps it.

    Attributes:
        features: whatever the model's decoder takes.
        frame: where the photo lies in them.
    """

    features: Any
    frame: Square


class Model(Protocol):
    """Segment Anything in one of its forms."""

    def encode(self, image: Image) -> Encoded:
        """The embedding of an RGB picture."""
        ...

    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        *,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        """Logits [rows, masks, h, w] and predicted IoUs [rows, masks] of one object per row.

        `points` [rows, n, 2] and `boxes` [rows, 2, 2] are (x, y) in pixels of the square, `labels`
        [rows, n] are 1 inside and 0 outside. `several`: three masks from small to large, else one.
        """
        ...


class Original:
    """A model of the package segment-anything."""

    def __init__(self, sam: Any) -> None:
        self.sam = sam

    def encode(self, image: Image) -> Encoded:
        from segment_anything.utils.transforms import ResizeLongestSide

        side = self.sam.image_encoder.img_size
        pixels = torch.from_numpy(ResizeLongestSide(side).apply_image(np.asarray(image)))
        pixels = pixels.permute(2, 0, 1).to(self.sam.device)
        with lean_attention(self.sam.image_encoder):
            features = self.sam.image_encoder(self.sam.preprocess(pixels)[None])
        inside = (pixels.shape[1], pixels.shape[2])
        return Encoded(features, Square((image.height, image.width), side, inside, pads=True))

    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        *,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        points, labels, boxes = _moved(self.sam.device, points, labels, boxes)
        sparse, dense = self.sam.prompt_encoder(
            points=None if points is None else (points, labels), boxes=boxes, masks=None
        )
        low, scores = self.sam.mask_decoder(
            image_embeddings=encoded.features,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        return low, scores


class Hub:
    """A model of transformers, SAM or SAM 2, with its folder's image processor."""

    def __init__(self, sam: Any, processor: Any) -> None:
        self.sam = sam
        self.processor = processor

    def encode(self, image: Image) -> Encoded:
        inputs = self.processor(images=image, return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.sam.device)
        side = pixels.shape[-1]
        sizes = inputs.get("reshaped_input_sizes")  # SAM's alone: SAM 2 stretches
        inside = (side, side) if sizes is None else (int(sizes[0][0]), int(sizes[0][1]))
        frame = Square((image.height, image.width), side, inside, pads=sizes is not None)
        return Encoded(self.sam.get_image_embeddings(pixels), frame)

    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        *,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        points, labels, boxes = _moved(self.sam.device, points, labels, boxes)
        # One photo, whose rows are its objects: that is one more axis in front.
        found = self.sam(
            image_embeddings=encoded.features,
            input_points=None if points is None else points[None],
            input_labels=None if labels is None else labels[None],
            input_boxes=None if boxes is None else boxes.flatten(1)[None],
            multimask_output=several,
        )
        return found.pred_masks[0], found.iou_scores[0]


def _moved(device: torch.device, *tensors: Tensor | None) -> list[Tensor | None]:
    return [None if tensor is None else tensor.to(device) for tensor in tensors]
