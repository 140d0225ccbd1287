"""What styles are made of: edges, cells, hatching, brush strokes."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from .sketch import Array, Point, blur, noise

_GREY = np.array((0.299, 0.587, 0.114), np.float32)


@dataclass(frozen=True)
class Source:
    """What a style starts from: picture [S, S, 3] in [0, 1], label [S, S], and its own dice.

    Lengths in styles are in `unit`s, pixels of a 128-pixel picture. What a style rules, dots or
    tiles repeats no faster than 8 of them, because the autoencoder cannot carry it.
    """

    picture: Array
    label: NDArray[np.int16]
    rng: np.random.Generator

    @property
    def side(self) -> int:
        return self.picture.shape[0]

    @property
    def unit(self) -> float:
        return self.side / 128

    @cached_property
    def grid(self) -> tuple[Array, Array]:
        """Row and column of every pixel, each [S, S], in units."""
        row, column = np.mgrid[0 : self.side, 0 : self.side].astype(np.float32) / self.unit
        return row, column

    def smooth(self, radius: float) -> Array:
        """The picture blurred, `radius` in units."""
        return blur(self.picture, radius * self.unit)

    def noise(self, period: float, octaves: int = 2, stretch: Point = (1, 1)) -> Array:
        """Smooth noise [S, S] with blobs of `period` units."""
        return noise(self.rng, self.side, cells=128 / period, octaves=octaves, stretch=stretch)

    @cached_property
    def flat(self) -> Array:
        """Every instance in its mean colour [S, S, 3]."""
        where, count = self.label.ravel(), int(self.label.max()) + 1
        size = np.bincount(where, minlength=count).clip(1)
        sums = [np.bincount(where, self.picture[..., c].ravel(), count) for c in range(3)]
        return np.asarray(np.stack(sums, 1) / size[:, None], np.float32)[self.label]

    @cached_property
    def level(self) -> Array:
        """Brightness [S, S] stretched to the whole range, so that a night is drawn like a day."""
        level = grey(self.smooth(1.5))
        low, high = np.quantile(level[::4, ::4], (0.02, 0.98))
        return np.asarray(0.08 + 0.9 * (level - low) / max(high - low, 0.15), np.float32).clip(0, 1)

    @cached_property
    def outlines(self) -> Array:
        """Lines about 2.5 units wide [S, S] in [0, 1] between instances."""
        label = self.label
        border = np.zeros(label.shape, np.uint8)
        border[:, 1:] |= label[:, 1:] != label[:, :-1]
        border[1:] |= label[1:] != label[:-1]
        size = round(2.4 * self.unit)
        lines = cv2.dilate(border, np.ones((size, size), np.uint8)).astype(np.float32)
        return blur(lines, 0.5 * self.unit)

    @cached_property
    def edges(self) -> Array:
        """The outlines and the strong changes of colour inside them [S, S] in [0, 1]."""
        soft = self.smooth(1.2)
        across = [cv2.Sobel(soft, cv2.CV_32F, *d, ksize=3).max(-1) for d in ((1, 0), (0, 1))]
        slope = np.hypot(*across) * self.unit
        return np.maximum(self.outlines, np.clip(4 * slope - 1.6, 0, 1))


def grey(picture: Array) -> Array:
    """Brightness [S, S] of a picture [S, S, 3]."""
    return picture @ _GREY


def saturate(picture: Array, amount: float, lift: float = 0) -> Array:
    """Colours pushed away from grey by `amount` and lightened by `lift`."""
    level = grey(picture)[..., None]
    return (level + (picture - level) * amount + lift).clip(0, 1).astype(np.float32)


def mix(below: Array, above: Array, cover: Array) -> Array:
    """`above` over `below` where `cover` [S, S] says so; colours [3] or [S, S, 3]."""
    return (below + (above - below) * cover[..., None]).astype(np.float32)


def colour(red: float, green: float, blue: float) -> Array:
    """A plain colour [3]."""
    return np.array((red, green, blue), np.float32)


@dataclass(frozen=True)
class Cells:
    """Voronoi cells of a jittered grid: distances to the two nearest seeds (units) and the seed."""

    nearest: Array  # [S, S]
    second: Array  # [S, S]
    owner: NDArray[np.intp]  # [S, S], index of the nearest seed
    seeds: Array  # [n, 2], row and column in units

    @property
    def border(self) -> Array:
        """About twice the distance to the cell's border, in units [S, S]."""
        return self.second - self.nearest

    def sample(self, picture: Array) -> Array:
        """The picture's values at each seed [n, ...]."""
        side = picture.shape[0]
        at = (self.seeds * side / 128).clip(0, side - 1).astype(int)
        return picture[at[:, 0], at[:, 1]]

    def fill(self, source: Source, picture: Array, spread: float) -> Array:
        """Each cell in the colour at its seed [S, S, 3], cut where another instance begins.

        `spread` is how far the brightness of a cell strays, in either direction.
        """
        inks = self.sample(picture)[self.owner]
        foreign = self.sample(source.label)[self.owner] != source.label
        inks[foreign] = source.flat[foreign]
        stray = source.rng.uniform(1 - spread, 1 + spread, len(self.seeds))[self.owner]
        return np.asarray(inks * stray[..., None], np.float32).clip(0, 1)


def cells(source: Source, pitch: float, jitter: float) -> Cells:
    """Cells about `pitch` units wide; `jitter` in [0, 1] from squares to scattered."""
    count = int(128 / pitch) + 3
    index = np.stack(np.mgrid[0:count, 0:count], -1) - 0.5
    centre = (index + jitter * (source.rng.random((count, count, 2)) - 0.5)) * pitch
    centre = centre.astype(np.float32)
    row, column = source.grid
    home = [np.clip((axis / pitch).astype(int) + 1, 1, count - 2) for axis in (row, column)]
    nearest = np.full(row.shape, np.inf, np.float32)
    second, owner = nearest.copy(), np.zeros(row.shape, np.intp)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            i, j = home[0] + down, home[1] + right
            distance = np.hypot(centre[i, j, 0] - row, centre[i, j, 1] - column)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            owner = np.where(closer, i * count + j, owner)
            nearest = np.minimum(nearest, distance)
    return Cells(nearest, second, owner, centre.reshape(-1, 2))


def hatch(along: Array, pitch: float, width: Array | float) -> Array:
    """Ink [S, S] of parallel lines: `along` counts units across them, `width` is theirs."""
    away = np.abs(along / pitch - np.round(along / pitch)) * pitch
    return np.clip((np.asarray(width, np.float32) / 2 - away) * 1.6 + 0.5, 0, 1)


def turned(source: Source, degrees: float) -> Array:
    """Units along a direction [S, S]: 0 counts columns, 90 rows."""
    row, column = source.grid
    turn = np.deg2rad(degrees)
    return (column * np.cos(turn) + row * np.sin(turn)).astype(np.float32)


def flow(source: Source, smooth: float = 4) -> Array:
    """Direction of the local structure [S, S] in radians, along edges."""
    level = blur(grey(source.picture), 1.5 * source.unit)
    dx, dy = (cv2.Sobel(level, cv2.CV_32F, *d, ksize=3) for d in ((1, 0), (0, 1)))
    spread = smooth * source.unit
    xx, yy, xy = (blur(product, spread) for product in (dx * dx, dy * dy, dx * dy))
    return 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2


@dataclass(frozen=True)
class Brush:
    """How strokes are laid: length, width and pitch in units, deviation of their colours."""

    length: float
    width: float
    pitch: float
    spread: float
    steps: int = 3


def strokes(source: Source, picture: Array, angle: Array, brush: Brush, base: Array) -> Array:
    """Paint `base` over with strokes of the picture's colours that follow `angle`."""
    rng, unit, side = source.rng, source.unit, source.side
    out, pitch = np.ascontiguousarray(base, np.float32).copy(), brush.pitch * unit
    rows, columns = np.meshgrid(*(np.arange(pitch / 2, side, pitch),) * 2, indexing="ij")
    spots = np.stack([columns.ravel(), rows.ravel()], 1)
    spots = rng.permutation(spots + rng.uniform(-0.5, 0.5, spots.shape) * pitch)
    inks = rng.normal(0, brush.spread, (len(spots), 1)) + rng.normal(0, 0.02, (len(spots), 3))
    paths = _paths(spots, angle, brush.length * unit, brush.steps)
    for path, jitter in zip(paths, inks, strict=True):
        x, y = path[len(path) // 2].clip(0, side - 1).astype(int)
        ink = (picture[y, x] + jitter).clip(0, 1).tolist()
        points = (path * 16).round().astype(np.int32)
        cv2.polylines(out, [points], False, ink, max(1, round(brush.width * unit)), cv2.LINE_AA, 4)
    return out


def _paths(spots: NDArray[np.float64], angle: Array, length: float, steps: int) -> Array:
    """Follow the direction field from each spot both ways [n, 2·steps + 1, 2] as (x, y) pixels."""
    side, halves = angle.shape[0], []
    for sign in (-1, 1):
        at, half = spots.copy(), []
        previous = np.zeros_like(at)
        for _ in range(steps):
            x, y = at.clip(0, side - 1).astype(int).T
            step = np.stack([np.cos(angle[y, x]), np.sin(angle[y, x])], 1)
            # an angle is a line, not an arrow: keep going the way we came
            turned_back = (step * previous).sum(1, keepdims=True) < 0
            step = np.where(turned_back, -step, step)
            previous = step
            at = at + sign * step * length / (2 * steps)
            half.append(at)
        halves.append(half)
    return np.stack([*halves[0][::-1], spots, *halves[1]], 1)
