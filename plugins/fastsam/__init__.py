"""FastSAM (arXiv:2306.12156): finds all objects in one look, then chooses the ones that are meant.

Its networks are ultralytics', which is AGPL-3.0 and therefore an extra: `locstyle[fastsam]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn

_NAME = "fastsam"
_SHOWN = frozenset({"everything", "points", "boxes"})
_OUR_SIDE, _THEIR_SIDE = 256, 1024  # pixels: what our weights and the original ones learned at


class FastSAM:
    """Segments by a YOLO network with mask prototypes and one class, "object".

    Points and boxes choose among all objects found. So does text, by a CLIP: the object whose cut
    out picture fits the words best.
    """

    @dataclass(frozen=True)
    class Options:
        weights: str = "mini"  # ours; or a path, or a name in the working or the cache folder
        side: int | None = None  # pixels of the photo's longer side as seen; None: ours 256, 1024
        confidence: float = 0.25  # objects less sure than this are left out
        overlap: float = 0.7  # boxes that overlap a surer one by more (IoU) are left out
        clip: str | None = None  # for text: folder of a CLIP in hub format, or a name in the cache
        device: str = "auto"  # "auto" is CUDA if there is one; "cpu", "cuda", "cuda:1"

    PRESETS: ClassVar[dict[str, Options]] = {
        "original": Options(weights="FastSAM-s.pt", confidence=0.4, overlap=0.9)
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()
        _check(self.options)
        self.prompts = _SHOWN | ({"text"} if self.options.clip else set())

    def segment(self, image: Image, prompt: ls.Prompt) -> list[ls.Segment]:
        """As `Segmenter.segment`."""
        self._check_prompt(image, prompt)
        return self.embed(image).segment(prompt)

    def embed(self, image: Image) -> Detected:
        """All objects of an RGB picture, found once."""
        from .detection import detect

        options = self.options
        segments = detect(
            self._network,
            image,
            side=options.side or (_OUR_SIDE if options.weights == "mini" else _THEIR_SIDE),
            confidence=options.confidence,
            overlap=options.overlap,
        )
        return Detected(self, image, segments)

    @cached_property
    def _network(self) -> nn.Module:
        from .checkpoints import find_weights, load_network

        return load_network(find_weights(self.options.weights)).to(_device(self.options.device))

    def _check_prompt(self, image: Image, prompt: ls.Prompt) -> None:
        if "text" in prompt.kinds and not self.options.clip:
            raise ls.SegmenterError(
                f"segmenter {_NAME!r}: text needs a CLIP, which is not fetched for you; give its "
                "folder (hub format, such as openai/clip-vit-base-patch32) as the option `clip`"
            )
        ls.check_prompt(_NAME, prompt, (image.height, image.width), self.prompts)


@dataclass(frozen=True)
class Detected:
    """A photo FastSAM has looked at."""

    segmenter: FastSAM
    image: Image
    segments: list[ls.Segment]

    def segment(self, prompt: ls.Prompt) -> list[ls.Segment]:
        """As `Embedding.segment`; with text and points or boxes, the words choose among those."""
        self.segmenter._check_prompt(self.image, prompt)
        found = self.segments
        if prompt.points or prompt.boxes:
            found = ls.hit(found, prompt, name=_NAME)
        if prompt.text is not None:
            from .clip import best_first

            found = best_first(found, self.image, prompt.text, self._clip_folder())
        return found

    def _clip_folder(self) -> Path:
        named = Path(self.segmenter.options.clip or "").expanduser()
        places = (named, ls.cache_folder() / named)
        for place in places:
            if (place / "config.json").is_file():
                return place
        raise ls.SegmenterError(
            f"segmenter {_NAME!r}: clip: no CLIP in hub format in "
            f"{' or '.join(str(place.absolute()) for place in places)}; fetch one, such as "
            "openai/clip-vit-base-patch32, and give its folder"
        )


def _check(options: FastSAM.Options) -> None:
    where = f"segmenter {_NAME!r} options"
    for name in ("confidence", "overlap"):
        if not 0 <= getattr(options, name) <= 1:
            raise ls.SegmenterError(f"{where}.{name}: {getattr(options, name)}; give 0 to 1")
    if options.side is not None and not 64 <= options.side <= 4096:
        raise ls.SegmenterError(f"{where}.side: {options.side} pixels; give 64 to 4096")


def _device(named: str) -> str:
    import torch

    if named == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=named)
    except (RuntimeError, AssertionError) as error:
        raise ls.SegmenterError(
            f"segmenter {_NAME!r} options.device: {named!r} is not usable here "
            f"({str(error).splitlines()[0]}); give 'auto', 'cpu' or 'cuda'"
        ) from error
    return named


@ls.hookimpl
def register_segmenters(register: Callable[[str, Callable[..., Any]], None]) -> None:
    """Offer the segmenter `fastsam`."""
    register(_NAME, FastSAM)
