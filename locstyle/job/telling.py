"""Steps of one frame after another, told as those of one long run, with the photo to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image

from locstyle.engine.progress import OnStep, Phase, Step

if TYPE_CHECKING:
    from locstyle.job.frames import Frame
    from locstyle.job.paste import Piece
    from locstyle.masks import Mask
    from locstyle.photo import Photo

SHOWN = 512
"""Pixels of a preview's longer side, at most, where it shows more than one frame's picture."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A frame's picture where it is to be pasted."""

    frame: Frame
    picture: Image.Image
    weight: Mask


class Telling:
    """Counts the steps of all frames of a photo, and shows the finished ones in its previews."""

    def __init__(self, on_step: OnStep, photo: Photo, frames: Sequence[Frame]) -> None:
        self._on_step, self._photo, self._frames = on_step, photo, frames
        self._done: dict[Phase, int] = {}
        self._finished: list[Finished] = []

    def of(self, number: int, weight: Mask) -> OnStep:
        """What frame `number` calls after every step; `weight` is where its picture will be."""
        before = dict(self._done)
        left = sum(_work(frame) for frame in self._frames[number:])

        def tell(step: Step) -> None:
            done = before.get(step.phase, 0)
            # Frames that are still to come are taken to be as this one, tile by tile.
            total = done + round(step.total * left / _work(self._frames[number]))
            self._done[step.phase] = done + step.index
            preview = step.preview and self._preview(number, weight, step.preview)
            self._on_step(replace(step, index=done + step.index, total=total, preview=preview))

        return tell

    def finish(self, number: int, piece: Piece) -> None:
        """Frame `number` is drawn; later previews show it."""
        if len(self._frames) > 1:
            pixels = (piece.work.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
            picture = Image.fromarray(pixels)
            self._finished.append(Finished(self._frames[number], picture, piece.weight))

    def _preview(
        self, number: int, weight: Mask, picture: Callable[[], Image.Image]
    ) -> Callable[[], Image.Image]:
        frame, finished = self._frames[number], list(self._finished)
        if len(self._frames) == 1 and frame.canvas.is_whole:
            return picture
        return lambda: _shown(self._photo, [*finished, Finished(frame, picture(), weight)])


def _work(frame: Frame) -> int:
    return len(frame.tiles.tiles)


def _shown(photo: Photo, drawn: Sequence[Finished]) -> Image.Image:
    """The photo, small, with frames' pictures pasted."""
    shown = photo.srgb.convert("RGB")
    scale = min(1.0, SHOWN / max(shown.size))
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))))
    for one in drawn:
        x0, y0, x1, y1 = (round(value * scale) for value in one.frame.canvas.box)
        size = max(1, x1 - x0), max(1, y1 - y0)
        height, width = one.frame.canvas.content
        picture = one.picture.crop((0, 0, width, height)).resize(size)
        shown.paste(picture, (x0, y0), one.weight.image.resize(size))
    return shown
