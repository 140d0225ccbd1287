"""Scenes of the paired world: a photo, its masks, its words, and the same scene in any style."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from .composition import compose
from .sketch import Array, Sketch
from .styles import STYLES, Source, Style

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TRAINING_WORLD, HELD_OUT_WORLD = 0, 1
"""Seeds: of the scenes that trainings see, and of those that none has seen."""

_SUPERSAMPLING = 2


@dataclass(frozen=True)
class World:
    """All scenes of one seed; the same seed, size and number give the same scene everywhere."""

    seed: int = 0
    size: int = 128  # side of the photo in pixels

    def scene(self, number: int) -> "WorldScene":
        """Draw scene `number`, any integer from 0."""
        rng = np.random.default_rng((self.seed, number))
        sketch = Sketch(self.size * _SUPERSAMPLING, rng)
        things, place = compose(sketch)
        return WorldScene(sketch, things, place, seed=(self.seed, number))


@dataclass(frozen=True)
class WorldScene:
    """One scene; pictures are [H, W, 3] uint8 and masks [H, W] bool."""

    sketch: Sketch = field(repr=False)
    things: str  # "a red house and two green trees", may be empty
    place: str  # "in a meadow under a blue sky"
    seed: tuple[int, int]

    @property
    def photo(self) -> Picture:
        """The scene as a camera would see it, with a little sensor noise."""
        grain = np.random.default_rng((*self.seed, 1)).normal(0, 0.006, self.sketch.picture.shape)
        return _shrink(self.sketch.picture + grain.astype(np.float32))

    def render(self, style: str) -> Picture:
        """The same scene as a picture in `style`, one of `STYLES`."""
        place = list(STYLES).index(style)
        return self.painted(STYLES[style], place)

    def painted(self, style: Style, dice: int) -> Picture:
        """The same scene as `style` draws it; `dice` seeds what it leaves to chance."""
        rng = np.random.default_rng((*self.seed, 2, dice))
        return _shrink(style(Source(self.sketch.picture, self.sketch.label, rng)))

    @property
    def labels(self) -> NDArray[np.int16]:
        """The instance each pixel shows [H, W], an index into `sketch.names`."""
        return self.sketch.label[::_SUPERSAMPLING, ::_SUPERSAMPLING]

    @property
    def masks(self) -> dict[str, Mask]:
        """What the photo shows, by name; the masks are disjoint and cover it."""
        names = np.array(self.sketch.names)[self.labels]
        return {str(name): names == name for name in dict.fromkeys(names.ravel())}

    @property
    def instances(self) -> list[tuple[str, Mask]]:
        """Every single thing that is still visible, back to front."""
        labels = self.labels
        return [(self.sketch.names[n], labels == n) for n in np.unique(labels)]

    @property
    def caption(self) -> str:
        """What there is to see, without saying how it is made."""
        return (
            f"{self.things} {self.place}"
            if self.things
            else self.place.removeprefix("in ").removeprefix("on ")
        )

    def prompt(self, style: str | None = None) -> str:
        """The caption as the backbone was trained to read it."""
        medium = "photo of" if style is None else f"painting in {style} style of"
        return f"a {medium} {self.caption}"


def _shrink(picture: Array) -> Picture:
    side = picture.shape[0] // _SUPERSAMPLING
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return (small.clip(0, 1) * 255 + 0.5).astype(np.uint8)
