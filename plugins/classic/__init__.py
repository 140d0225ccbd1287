"""`classic`: no weights, always there; found small, drawn to the edges of the photo.

Felzenszwalb's graph-based regions, joined level by level, and GrabCut for points, boxes, scribbles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image

    from .segmentation import Segmentation


class Classic:
    """Segments by colour and edges alone: it sees regions, and does not know what a dog is."""

    prompts = frozenset({"everything", "points", "boxes", "scribble"})

    @dataclass(frozen=True)
    class Options:
        side: int = 384  # pixels; longest side of the picture it works on
        scale: float = 300.0  # of the first regions: larger gives fewer (Felzenszwalb's k)
        levels: tuple[float, ...] = (20.0, 30.0, 40.0, 55.0)  # CIELAB contrast joined, step by step
        smallest: float = 0.002  # share of the picture; smaller segments are left out
        rounds: int = 5  # of GrabCut

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Classic.Options()
        if self.options.side < 32:
            raise ls.RecipeError(
                f"segmenter 'classic' options.side: got {self.options.side}; give 32 or more pixels"
            )

    def embed(self, image: Image) -> Segmentation:
        """The photo made small, and its regions once somebody asks for them."""
        from .segmentation import Segmentation

        return Segmentation.of(image, self.options)

    def segment(self, image: Image, prompt: ls.Prompt) -> list[ls.Segment]:
        """Segments of an RGB picture, best first."""
        return self.embed(image).segment(prompt)


@ls.hookimpl
def register_segmenters(register: ls.Register) -> None:
    register("classic", Classic)
