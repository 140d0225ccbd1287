"""A picture under construction that remembers what each of its pixels shows."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = tuple[float, float]
"""(x, y), fractions of the side, origin at the top left."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.17, 0.14),
    "blue": (0.18, 0.34, 0.76),
    "white": (0.92, 0.90, 0.86),
    "yellow": (0.92, 0.76, 0.20),
    "brown": (0.50, 0.32, 0.18),
    "green": (0.26, 0.50, 0.20),
    "orange": (0.86, 0.46, 0.12),
    "pink": (0.90, 0.50, 0.64),
    "purple": (0.52, 0.28, 0.64),
    "gray": (0.52, 0.52, 0.55),
    "black": (0.17, 0.15, 0.16),
}

_SHIFT = 4  # cv2 draws on a grid of 1/16 pixel, which keeps slow slopes smooth


class Sketch:
    """Layers of colour with the instance each pixel belongs to.

    `picture` is [S, S, 3] in [0, 1]; `label` is [S, S] and indexes `names`; `x`, `y` are [S, S]
    fractions of the side. `light` [3] multiplies the colour of everything lit by the sky.
    """

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.side, self.rng = side, rng
        self.unit = side / 128
        self.picture: Array = np.zeros((side, side, 3), np.float32)
        self.label = np.zeros((side, side), np.int16)
        self.names: list[str] = []
        grid = (np.arange(side, dtype=np.float32) + 0.5) / side
        self.y, self.x = np.meshgrid(grid, grid, indexing="ij")
        self.light: Array = np.ones(3, np.float32)
        self.sun_side = float(rng.choice([-1, 1]))

    def add(self, name: str) -> int:
        """Open a new instance and return its number."""
        self.names.append(name)
        return len(self.names) - 1

    def paint(self, cover: Array, colour: Array, number: int | None = None) -> None:
        """Lay `colour` ([3] or [S, S, 3]) where `cover` [S, S] in [0, 1] says so.

        Pixels covered by more than half go to instance `number`; None leaves the labels alone.
        """
        rows, columns = np.flatnonzero(cover.max(1) > 1e-3), np.flatnonzero(cover.max(0) > 1e-3)
        if not len(rows):
            return
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ink = colour[box] if colour.ndim == 3 else colour
        self.picture[box] += (ink - self.picture[box]) * cover[box][..., None]
        if number is not None:
            self.label[box][cover[box] > 0.5] = number

    def shows(self, x: float, y: float) -> str:
        """The name of what is painted at a point."""
        row, column = (min(int(part * self.side), self.side - 1) for part in (y, x))
        return self.names[self.label[row, column]]

    def polygon(self, *outlines: Sequence[Point]) -> Array:
        """Cover of filled polygons, each given by its corners."""
        image = np.zeros((self.side, self.side), np.uint8)
        for outline in outlines:
            cv2.fillPoly(image, [self._fixed(outline)], 255, cv2.LINE_AA, _SHIFT)
        return image.astype(np.float32) / 255

    def ellipses(self, *ellipses: tuple[float, float, float, float]) -> Array:
        """Cover of upright ellipses (x, y, half width, half height)."""
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        cosine, sine = np.cos(turn), np.sin(turn)
        return self.polygon(
            *(
                np.stack([x + width * cosine, y + height * sine], 1)
                for x, y, width, height in ellipses
            )
        )

    def line(self, points: Sequence[Point], width: float) -> Array:
        """Cover of a round-ended line through `points`, `width` in fractions of the side."""
        image = np.zeros((self.side, self.side), np.uint8)
        thickness = max(1, round(width * self.side))
        cv2.polylines(image, [self._fixed(points)], False, 255, thickness, cv2.LINE_AA, _SHIFT)
        return image.astype(np.float32) / 255

    def noise(self, cells: float = 4, octaves: int = 4, stretch: Point = (1, 1)) -> Array:
        """Smooth noise [S, S], mean 0 and deviation about 1; `cells` blobs across the side."""
        return noise(self.rng, self.side, cells=cells, octaves=octaves, stretch=stretch)

    def lit(self, colour: Array, amount: float = 0.06, cells: float = 8, shade: float = 0) -> Array:
        """The colour under this sketch's light with soft variation [S, S, 3].

        `amount` is the deviation of the variation, `shade` the contrast from the sun's side
        to the other.
        """
        wave = 1 + amount * self.noise(cells, 3) + shade * self.sun_side * (self.x - 0.5)
        return np.asarray(colour * self.light * wave[..., None], np.float32)

    def tone(self, name: str, spread: float = 0.04) -> Array:
        """A named colour [3], a little different each time."""
        colour = np.array(COLOURS[name]) + self.rng.normal(0, spread, 3)
        return colour.clip(0.03, 0.98).astype(np.float32)

    def _fixed(self, points: Sequence[Point]) -> NDArray[np.int32]:
        scaled = np.asarray(points, np.float64) * self.side * 2**_SHIFT
        return scaled.round().astype(np.int32)


def noise(
    rng: np.random.Generator,
    side: int,
    *,
    cells: float = 4,
    octaves: int = 4,
    stretch: Point = (1, 1),
) -> Array:
    """Smooth noise [side, side], mean 0, deviation about 1; `stretch` lengthens blobs in (x, y)."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        shape = [max(2, round(cells * 2**octave / s)) for s in (stretch[1], stretch[0])]
        if max(shape) > side:
            break
        grid = rng.standard_normal(shape).astype(np.float32)
        total += 0.6**octave * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / (total.std() + 1e-6)


def blur(picture: Array, sigma: float) -> Array:
    """Gaussian blur of [H, W] or [H, W, C], `sigma` in pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
