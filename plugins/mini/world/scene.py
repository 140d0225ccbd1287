"""Scenes of the paired world: a photo, its masks, its words, and the same scene in any style."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from . import scenery, things
from .canvas import Array, Canvas
from .styles import STYLES, Source

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Spot = tuple[float, float, float]
"""Foot point x, y and height of a thing, fractions of the side."""

_SUPERSAMPLING = 2
_CLOSE_UPS = 0.3  # share of scenes that show one large thing
_COUNTS = ("", "a", "two", "three", "many")


@dataclass(frozen=True)
class World:
    """All scenes of one seed; the same seed, size and number give the same scene everywhere."""

    seed: int = 0
    size: int = 128  # side of the photo in pixels

    def scene(self, number: int) -> "WorldScene":
        """Draw scene `number`, any integer from 0."""
        rng = np.random.default_rng((self.seed, number))
        canvas = Canvas(self.size * _SUPERSAMPLING, rng)
        draw = _close_up if rng.random() < _CLOSE_UPS else _landscape
        caption = draw(canvas)
        _finish(canvas)
        return WorldScene(canvas, *caption, seed=(self.seed, number))


@dataclass(frozen=True)
class WorldScene:
    """One scene; pictures are [H, W, 3] uint8 and masks [H, W] bool."""

    canvas: Canvas = field(repr=False)
    things: str  # "a red house and two green trees", may be empty
    place: str  # "in a meadow under a blue sky"
    seed: tuple[int, int]

    @property
    def photo(self) -> Picture:
        """The scene as a camera would see it, with a little sensor noise."""
        grain = np.random.default_rng((*self.seed, 1)).normal(0, 0.006, self.canvas.picture.shape)
        return _shrink(self.canvas.picture + grain.astype(np.float32))

    def render(self, style: str) -> Picture:
        """The same scene as a picture in `style`, one of `STYLES`."""
        order = list(STYLES).index(style)
        rng = np.random.default_rng((*self.seed, 2, order))
        source = Source(self.canvas.picture, self.canvas.label, rng)
        return _shrink(STYLES[style](source))

    @property
    def labels(self) -> NDArray[np.int16]:
        """The instance each pixel shows [H, W], an index into `canvas.names`."""
        return self.canvas.label[::_SUPERSAMPLING, ::_SUPERSAMPLING]

    @property
    def masks(self) -> dict[str, Mask]:
        """What the photo shows, by name; the masks are disjoint and cover it."""
        names = np.array(self.canvas.names)[self.labels]
        return {str(name): names == name for name in dict.fromkeys(names.ravel())}

    @property
    def instances(self) -> list[tuple[str, Mask]]:
        """Every single thing that is still visible, back to front."""
        labels = self.labels
        return [(self.canvas.names[n], labels == n) for n in np.unique(labels)]

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


def _finish(canvas: Canvas) -> None:
    """The camera's part: exposure and a slight vignette."""
    away = (canvas.x - 0.5) ** 2 + (canvas.y - 0.5) ** 2
    exposure = canvas.rng.uniform(0.94, 1.06) * (1 - 0.2 * away)
    canvas.picture = (canvas.picture * exposure[..., None]).clip(0, 1).astype(np.float32)


def _close_up(canvas: Canvas) -> tuple[str, str]:
    """One large thing, half of the time with no sky behind it."""
    rng = canvas.rng
    sky = str(rng.choice(list(scenery.SKIES), p=(0.5, 0.25, 0.17, 0.08)))
    ground = str(rng.choice(list(scenery.GROUNDS), p=(0.6, 0.16, 0.12, 0.12)))
    has_sky = rng.random() < 0.55
    horizon = rng.uniform(0.12, 0.48) if has_sky else 0.0
    scenery.paint_sky(canvas, sky, horizon)
    scenery.paint_ground(canvas, ground, horizon)
    kind = str(rng.choice(["animal", "house", "tree", "flower"], p=(0.5, 0.16, 0.17, 0.17)))
    low, high = {"animal": (0.6, 0.85), "flower": (0.7, 0.95)}.get(kind, (0.62, 0.88))
    words = _words(rng, kind)
    foot = rng.uniform(0.36, 0.64), rng.uniform(0.9, 1.0)
    _paint(canvas, kind, (*foot, rng.uniform(low, high)), words)
    return f"a large {words}", scenery.GROUND_WORDS[ground] + (
        f" under a {sky} sky" if has_sky else ""
    )


def _landscape(canvas: Canvas) -> tuple[str, str]:
    """A view with a horizon and a few things on the ground or the water."""
    rng = canvas.rng
    sky = str(rng.choice(list(scenery.SKIES), p=(0.44, 0.22, 0.22, 0.12)))
    ground = str(rng.choice(list(scenery.GROUNDS), p=(0.52, 0.16, 0.16, 0.16)))
    horizon = rng.uniform(0.36, 0.54)
    words = {"ground": scenery.GROUND_WORDS[ground], "sky": f"under a {sky} sky"}
    scenery.paint_sky(canvas, sky, horizon)
    if sky != "cloudy" and rng.random() < 0.5:
        scenery.paint_sun(canvas, sky, horizon)
        words["sky"] += " with a moon" if sky == "night" else " with a sun"
    if sky == "cloudy" or rng.random() < 0.3:
        scenery.paint_clouds(canvas, sky, horizon, count=int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        hills = str(rng.choice(list(scenery.HILLS)))
        scenery.paint_hills(canvas, hills, sky, horizon)
        words["hills"] = f"with {hills}"
    scenery.paint_ground(canvas, ground, horizon)
    water = str(rng.choice(["", "lake", "sea", "river"], p=(0.6, 0.16, 0.14, 0.1)))
    if water:
        scenery.paint_water(canvas, water, sky, horizon)
        words["water"] = f"by a {water}"
    place = " ".join(words[part] for part in ("ground", "water", "hills", "sky") if part in words)
    return _furnish(canvas, horizon, water), place


def _furnish(canvas: Canvas, horizon: float, water: str) -> str:
    """Choose, place and paint the things of a landscape, far ones first; return their words."""
    rng, groups = canvas.rng, []
    spots: list[tuple[Spot, str, str]] = []
    chances = {"house": 0.45, "tree": 0.6, "animal": 0.4, "flower": 0.16}
    chances |= {"boat": 0.6 if water in ("lake", "sea") else 0.0}
    for kind, chance in chances.items():
        if rng.random() > chance or len(groups) == 3:
            continue
        words, wanted = _words(rng, kind), int(rng.choice([1, 2, 3], p=(0.65, 0.22, 0.13)))
        wanted = {"flower": 4, "boat": 1, "house": min(wanted, 2)}.get(kind, wanted)
        found = 0
        for _ in range(wanted):
            spot = _place(canvas, kind, horizon, spots)
            if spot is not None:
                spots.append((spot, kind, words))
                found += 1
        if found:
            groups.append(_count(words, found))
    for spot, kind, words in sorted(spots, key=lambda entry: entry[0][1]):
        _paint(canvas, kind, spot, words)
    return " and ".join([", ".join(groups[:-1]), groups[-1]] if len(groups) > 1 else groups)


def _place(
    canvas: Canvas, kind: str, horizon: float, taken: list[tuple[Spot, str, str]]
) -> Spot | None:
    """A free foot point and a height for its distance; None when the scene is full."""
    rng = canvas.rng
    base, growth, girth = {
        "house": (0.26, 0.22, 0.8),
        "tree": (0.32, 0.30, 0.5),
        "animal": (0.20, 0.22, 0.9),
        "flower": (0.12, 0.16, 0.5),
        "boat": (0.18, 0.14, 0.9),
    }[kind]
    for _ in range(24):
        near = rng.uniform(0.0, 1) if kind != "flower" else rng.uniform(0.5, 1.1)
        x, y = rng.uniform(0.12, 0.88), horizon + (0.10 + 0.82 * near) * (1 - horizon)
        height = (base + growth * near) * rng.uniform(0.9, 1.15)
        here = canvas.names[canvas.label[int(min(y, 0.99) * canvas.side), int(x * canvas.side)]]
        apart = all(abs(x - s[0]) > 0.5 * girth * (height + s[2]) for s, *_ in taken)
        if here == ("water" if kind == "boat" else "ground") and (apart or kind == "flower"):
            return x, y, height
    return None


def _words(rng: np.random.Generator, kind: str) -> str:
    """A random make of a kind of thing, e.g. 'red house'."""
    choices = {
        "house": [f"{colour} house" for colour in things.HOUSE_COLOURS],
        "tree": list(things.TREES),
        "animal": list(things.ANIMALS),
        "flower": [f"{colour} flower" for colour in things.FLOWER_COLOURS],
        "boat": [f"{colour} boat" for colour in things.BOAT_COLOURS],
    }
    return str(rng.choice(choices[kind]))


def _count(words: str, count: int) -> str:
    if count == 1:
        return f"an {words}" if words[0] in "aeiou" else f"a {words}"
    invariant = words.endswith(("sheep", "deer"))
    return f"{_COUNTS[min(count, 4)]} {words}{'' if invariant else 's'}"


def _paint(canvas: Canvas, kind: str, spot: Spot, words: str) -> None:
    painter = getattr(things, f"paint_{kind}")
    whole_name = kind in ("tree", "animal")
    painter(canvas, *spot, words if whole_name else words.split()[0])
