"""The segmenter `sam`: Segment Anything (arXiv:2304.02643) and SAM 2 (arXiv:2408.00714).

Checkpoints of segment-anything load through that library, folders of the hub's format through
transformers; what follows is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image

    from .models import Model
    from .predictor import Predictor

PROMPTS = frozenset({"points", "boxes", "everything"})


class Sam:
    """Finds the object under points, in boxes, or all objects.

    The weights are loaded for the first photo and kept; nothing of a photo is. `embed` does the
    slow part once per photo, and what it returns answers any number of prompts.
    """

    prompts = PROMPTS

    @dataclass(frozen=True)
    class Options:
        weights: str = (
            "sam_vit_b_01ec64.pth"  # a checkpoint, or a transformers folder of SAM, SAM 2
        )
        kind: Literal["auto", "vit_b", "vit_l", "vit_h"] = (
            "auto"  # of a checkpoint: by name or size
        )
        device: str = "auto"  # cuda where there is one, else cpu
        choice: Literal["best", "largest", "smallest"] = "best"  # among the readings of one click
        grid: int = 32  # everything: points per side of the photo
        min_iou: float = 0.88  # everything: least quality the model predicts for its own mask
        min_stability: float = 0.95  # everything: least IoU of a mask with itself at other cutoffs
        max_overlap: float = 0.7  # everything: of two boxes that overlap more, the better stays
        batch: int = 16  # everything: points decoded at a time; more is faster on a GPU

    def __init__(self, options: Options | None = None, model: Model | None = None) -> None:
        """`model` stands in for the one that the options name."""
        self.options = options or self.Options()
        self._given = model

    def embed(self, image: Image) -> Predictor:
        """What the model sees in an RGB picture: the slow part, done once.

        Raises:
            SegmenterError: weights or packages are missing.
        """
        from .predictor import predictor

        return predictor(self._model, image, self.options)

    def segment(self, image: Image, prompt: ls.Prompt) -> list[ls.Segment]:
        """Segments best first; everything by area, largest first.

        Raises:
            SegmenterError: as `embed`, or the prompt lies outside the picture or hits nothing.
        """
        ls.check_prompt("sam", prompt, (image.height, image.width), self.prompts)
        return self.embed(image).segment(prompt)

    @cached_property
    def _model(self) -> Model:
        from .weights import load

        return self._given or load(
            self.options.weights, kind=self.options.kind, device=self.options.device
        )


@ls.hookimpl
def register_segmenters(register: ls.Register) -> None:
    register("sam", Sam)
