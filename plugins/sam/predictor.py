"""A photo as a model has encoded it, and the answers to prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

import locstyle as ls

from . import PROMPTS
from .everything import everything
from .models import Encoded, Model

if TYPE_CHECKING:
    from PIL.Image import Image

    from . import Sam


@dataclass(frozen=True, eq=False)
class Predictor:
    """A photo's embedding, ready for any number of prompts."""

    model: Model
    encoded: Encoded
    options: Sam.Options

    @torch.inference_mode()
    def segment(self, prompt: ls.Prompt) -> list[ls.Segment]:
        """Segments best first; everything by area, largest first.

        One box: around the object the points mean, if there are points. Several boxes: each finds
        one part, with the points in it; points in no box find one more; the parts are joined.

        Raises:
            SegmenterError: the prompt lies outside the picture or hits nothing.
        """
        ls.check_prompt("sam", prompt, self.encoded.frame.photo, PROMPTS)
        if prompt.everything:
            return everything(self.model, self.encoded, self.options)
        parts = [self._readings(part) for part in _parts(prompt)]
        if len(parts) == 1:
            return parts[0]
        return [parts[0][0].joined(part[0] for part in parts[1:])]

    def _readings(self, prompt: ls.Prompt) -> list[ls.Segment]:
        """What the points and the one box, if any, may mean, best first.

        One click may mean a thing, its part or the whole it belongs to, so all three masks of the
        model count; with more to go by, its single mask is better (segment_anything/predictor.py).
        """
        places = [*prompt.points, *prompt.outside]
        labels = torch.tensor([[1] * len(prompt.points) + [0] * len(prompt.outside)])
        frame = self.encoded.frame
        low, scores = self.model.decode(
            self.encoded,
            frame.into([places]) if places else None,
            labels if places else None,
            frame.into([[b[:2], b[2:]] for b in prompt.boxes]) if prompt.boxes else None,
            several=len(places) == 1 and not prompt.boxes,
        )
        found = map(frame.segment, low[0], scores[0].tolist())
        return _ranked([segment for segment in found if segment.area], prompt, self.options.choice)


@torch.inference_mode()
def predictor(model: Model, image: Image, options: Sam.Options) -> Predictor:
    """The predictor of an RGB picture."""
    return Predictor(model, model.encode(image), options)


def _parts(prompt: ls.Prompt) -> Iterator[ls.Prompt]:
    """One prompt per part of what is asked for."""
    if len(prompt.boxes) < 2:
        yield prompt
        return
    left = list(prompt.points)
    for box in prompt.boxes:
        inside = [(x, y) for x, y in left if box[0] <= x < box[2] and box[1] <= y < box[3]]
        left = [point for point in left if point not in inside]
        yield replace(prompt, points=tuple(inside), boxes=(box,))
    if left:
        yield replace(prompt, points=tuple(left), boxes=())


def _ranked(found: Sequence[ls.Segment], prompt: ls.Prompt, choice: str) -> list[ls.Segment]:
    """Those right about most points first, then by choice.

    The model may miss a point of several, but what misses all of them is no answer.
    """

    def right(segment: ls.Segment) -> int:
        hits = sum(segment.contains(*point) for point in prompt.points)
        return hits + sum(not segment.contains(*point) for point in prompt.outside)

    def wish(segment: ls.Segment) -> float:
        by = {"best": segment.score or 0, "largest": segment.area, "smallest": -segment.area}
        return by[choice]

    hit = [s for s in found if not prompt.points or any(s.contains(*p) for p in prompt.points)]
    if not hit:
        return ls.hit(found, prompt, name="sam")
    return sorted(hit, key=lambda segment: (right(segment), wish(segment)), reverse=True)
