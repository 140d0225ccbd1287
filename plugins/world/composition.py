"""What a scene is composed of: where things stand, and the words for them."""

from dataclasses import dataclass

import numpy as np

from . import closeups, scenery, things
from .sketch import Sketch

_SHARES = {  # of all scenes
    "landscape": 0.55,
    "animal": 0.16,
    "portrait": 0.13,
    "still life": 0.05,
    "thing": 0.11,  # an animal from the side, a house, a tree, a flower
}
_COUNTS = ("", "a", "two", "three", "many")
_PAINTERS = {  # and whether it takes all words ("pine tree") or the colour alone
    "house": (things.paint_house, False),
    "tree": (things.paint_tree, True),
    "animal": (things.paint_animal, True),
    "flower": (things.paint_flower, False),
    "boat": (things.paint_boat, False),
}
_CHANCES = {"house": 0.45, "tree": 0.6, "animal": 0.4, "flower": 0.16}
_GROWTH = {  # height at the horizon, how much more in front, width as a share of the height
    "house": (0.26, 0.22, 0.8),
    "tree": (0.32, 0.30, 0.5),
    "animal": (0.20, 0.22, 0.9),
    "flower": (0.12, 0.16, 0.5),
    "boat": (0.18, 0.14, 0.9),
}


@dataclass(frozen=True)
class Thing:
    """One thing to paint: what it is and where it stands."""

    kind: str  # a key of `_PAINTERS`
    words: str  # "red house"
    x: float  # foot point and height, fractions of the side
    y: float
    height: float


def compose(sketch: Sketch) -> tuple[str, str]:
    """Paint a whole scene; return the words for its things (may be empty) and for its place."""
    form = str(sketch.rng.choice(list(_SHARES), p=list(_SHARES.values())))
    painters = {
        "landscape": _landscape,
        "animal": closeups.animal,
        "portrait": closeups.portrait,
        "still life": closeups.still_life,
        "thing": _close_up,
    }
    words = painters[form](sketch)
    _expose(sketch)
    return words


def _expose(sketch: Sketch) -> None:
    """The camera's part: exposure, white balance and a slight vignette."""
    away = (sketch.x - 0.5) ** 2 + (sketch.y - 0.5) ** 2
    exposure = sketch.rng.uniform(0.94, 1.06) * (1 - 0.2 * away)
    warmth = 0.035 * sketch.rng.normal() * np.array((1, 0, -1), np.float32)
    sketch.picture = (
        (sketch.picture * exposure[..., None] * (1 + warmth)).clip(0, 1).astype(np.float32)
    )


def _close_up(sketch: Sketch) -> tuple[str, str]:
    """One large thing, half of the time with no sky behind it."""
    rng = sketch.rng
    sky = str(rng.choice(list(scenery.SKIES), p=(0.5, 0.25, 0.17, 0.08)))
    ground = str(rng.choice(list(scenery.GROUNDS), p=(0.6, 0.16, 0.12, 0.12)))
    has_sky = rng.random() < 0.55
    horizon = rng.uniform(0.12, 0.48) if has_sky else 0.0
    scenery.paint_sky(sketch, sky, horizon)
    scenery.paint_ground(sketch, ground, horizon)
    kind = str(rng.choice(["animal", "house", "tree", "flower"], p=(0.5, 0.16, 0.17, 0.17)))
    low, high = {"animal": (0.6, 0.85), "flower": (0.7, 0.95)}.get(kind, (0.62, 0.88))
    words = _words(rng, kind)
    x, y, height = rng.uniform(0.36, 0.64), rng.uniform(0.9, 1.0), rng.uniform(low, high)
    _paint(sketch, Thing(kind, words, x, y, height))
    place = [scenery.GROUND_WORDS[ground], *([f"under a {sky} sky"] if has_sky else [])]
    return f"a large {words}", " ".join(place)


def _landscape(sketch: Sketch) -> tuple[str, str]:
    """A view with a horizon and a few things on the ground or the water."""
    rng = sketch.rng
    sky = str(rng.choice(list(scenery.SKIES), p=(0.44, 0.22, 0.22, 0.12)))
    ground = str(rng.choice(list(scenery.GROUNDS), p=(0.52, 0.16, 0.16, 0.16)))
    horizon = rng.uniform(0.36, 0.54)
    words = {"ground": scenery.GROUND_WORDS[ground], "sky": f"under a {sky} sky"}
    scenery.paint_sky(sketch, sky, horizon)
    if sky != "cloudy" and rng.random() < 0.5:
        scenery.paint_sun(sketch, sky, horizon)
        words["sky"] += " with a moon" if sky == "night" else " with a sun"
    if sky == "cloudy" or rng.random() < 0.3:
        scenery.paint_clouds(sketch, sky, horizon, count=int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        hills = str(rng.choice(list(scenery.HILLS)))
        scenery.paint_hills(sketch, hills, sky, horizon)
        words["hills"] = f"with {hills}"
    scenery.paint_ground(sketch, ground, horizon)
    water = str(rng.choice(["", "lake", "sea", "river"], p=(0.6, 0.16, 0.14, 0.1)))
    if water:
        scenery.paint_water(sketch, water, sky, horizon)
        words["water"] = f"by a {water}"
    place = " ".join(words[part] for part in ("ground", "water", "hills", "sky") if part in words)
    return _furnish(sketch, horizon, water), place


def _furnish(sketch: Sketch, horizon: float, water: str) -> str:
    """Choose, place and paint the things of a landscape, far ones first; return their words."""
    rng, groups = sketch.rng, []
    placed: list[Thing] = []
    boats = 0.6 if water in ("lake", "sea") else 0.0
    for kind, chance in (_CHANCES | {"boat": boats}).items():
        if rng.random() > chance or len(groups) == 3:
            continue
        words, wanted = _words(rng, kind), int(rng.choice([1, 2, 3], p=(0.65, 0.22, 0.13)))
        wanted = {"flower": 4, "boat": 1, "house": min(wanted, 2)}.get(kind, wanted)
        before = len(placed)
        for _ in range(wanted):
            placed += _place(sketch, kind, words, horizon, placed)
        if len(placed) > before:
            groups.append(_count(words, len(placed) - before))
    for thing in sorted(placed, key=lambda thing: thing.y):
        _paint(sketch, thing)
    return " and ".join([", ".join(groups[:-1]), groups[-1]] if len(groups) > 1 else groups)


def _place(
    sketch: Sketch, kind: str, words: str, horizon: float, placed: list[Thing]
) -> list[Thing]:
    """The thing at a free spot, smaller when it is far; nothing when the scene is full."""
    rng = sketch.rng
    base, growth, girth = _GROWTH[kind]
    surface = "water" if kind == "boat" else "ground"
    for _ in range(24):
        near = rng.uniform(0.5, 1.1) if kind == "flower" else rng.uniform(0.0, 1)
        x, y = rng.uniform(0.12, 0.88), horizon + (0.10 + 0.82 * near) * (1 - horizon)
        height = (base + growth * near) * rng.uniform(0.9, 1.15)
        apart = all(abs(x - other.x) > 0.5 * girth * (height + other.height) for other in placed)
        if sketch.shows(x, y) == surface and (apart or kind == "flower"):
            return [Thing(kind, words, x, y, height)]
    return []


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


def _paint(sketch: Sketch, thing: Thing) -> None:
    painter, takes_words = _PAINTERS[thing.kind]
    make = thing.words if takes_words else thing.words.split()[0]
    painter(sketch, thing.x, thing.y, thing.height, make)
