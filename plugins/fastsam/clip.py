"""Which object the words mean: each is cut out and compared with them by a CLIP."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image

_SMALLEST = 100  # pixels; FastSAM compares no smaller objects
_BATCH = 16


def best_first(
    segments: Sequence[ls.Segment], image: "Image", text: str, folder: Path
) -> list[ls.Segment]:
    """The segments by how well their pixels on black, cut out at their box, fit the text.

    Raises:
        SegmenterError: the folder holds no CLIP, or there is no object to compare.
    """
    import torch
    from transformers import AutoProcessor, CLIPModel

    large = [segment for segment in segments if segment.area > _SMALLEST]
    if not large:
        raise ls.NothingError(
            f"segmenter 'fastsam': text {text!r} hit nothing; of {len(segments)} objects found "
            f"none is larger than {_SMALLEST} pixels"
        )
    try:
        model = CLIPModel.from_pretrained(folder, local_files_only=True).eval()
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a foreign folder makes transformers do
        raise ls.SegmenterError(
            f"segmenter 'fastsam': clip: {folder} holds no CLIP that transformers loads "
            f"({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    scores: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(large), _BATCH):
            cut = [_cut_out(image, segment) for segment in large[start : start + _BATCH]]
            given = processor(text=[text], images=cut, return_tensors="pt", truncation=True)
            scores += model(**given).logits_per_image[:, 0].tolist()
    return [large[i] for i in np.argsort(-np.array(scores), kind="stable")]


def _cut_out(image: "Image", segment: ls.Segment) -> "Image":
    from PIL import Image

    x0, y0, x1, y1 = segment.box
    part = np.asarray(image)[y0:y1, x0:x1] * segment.inside[y0:y1, x0:x1, None]
    return Image.fromarray(part)
