"""Scenes of one thing seen from near: animals, people, and things on a table."""

import numpy as np

from . import beasts, portraits, scenery
from .sketch import Array, Sketch, blur

_WALLS = {"gray": 0.9, "blue": 0.8, "green": 0.75, "brown": 1.1, "white": 0.92, "yellow": 0.85}
FRUITS = {
    "red apple": ("red", 1.0),
    "green apple": ("green", 1.0),
    "orange": ("orange", 1.0),
    "lemon": ("yellow", 0.8),
    "plum": ("purple", 0.85),
}
_SHADED = np.array((0.10, 0.16, 0.06), np.float32)


def animal(sketch: Sketch) -> tuple[str, str]:
    """A head from in front, a whole cat or dog that sits, or a bird on a branch."""
    rng = sketch.rng
    form = str(rng.choice(["head", "sitter", "bird"], p=(0.56, 0.28, 0.16)))
    choices = {"head": beasts.HEADS, "sitter": ("cat", "dog"), "bird": ("bird",)}[form]
    species = str(rng.choice(choices))
    colour = str(rng.choice(beasts.FURS[species]))
    words = f"{'an' if colour == 'orange' else 'a'} {colour} {species}"
    x = rng.uniform(0.42, 0.58)
    if form == "sitter":
        place = _outdoors(sketch) if rng.random() < 0.7 else _room(sketch, "background")
        height = rng.uniform(0.72, 0.86)
        beasts.paint_sitter(sketch, species, colour, x, rng.uniform(0.9, 0.96), height)
        return words.replace("a ", "a large ", 1).replace("an ", "a large ", 1), place
    place = _outdoors(sketch) if rng.random() < 0.8 else _room(sketch, "background")
    if form == "bird":
        beasts.paint_bird(sketch, colour, x, rng.uniform(0.78, 0.86), rng.uniform(0.62, 0.8))
        return words, f"on a branch {place}"
    size = rng.uniform(0.21, 0.29) * (0.85 if species in ("deer", "cow") else 1)
    y = rng.uniform(0.42, 0.5) if species == "deer" else rng.uniform(0.38, 0.46)
    beasts.paint_head(sketch, species, colour, x, y, size)
    return f"the head of {words}", place


def portrait(sketch: Sketch) -> tuple[str, str]:
    """A person from the chest up, indoors or in the open."""
    rng = sketch.rng
    place = _outdoors(sketch) if rng.random() < 0.5 else _room(sketch, "background")
    person = str(rng.choice(portraits.PEOPLE))
    hair, clothes = str(rng.choice(list(portraits.HAIR))), str(rng.choice(portraits.CLOTHES))
    portraits.paint_portrait(sketch, person, hair, clothes)
    return f"a portrait of a {person} with {hair} hair in {clothes} clothes", place


def still_life(sketch: Sketch) -> tuple[str, str]:
    """One to three fruits on a table before a wall."""
    rng = sketch.rng
    place = _room(sketch, "background")
    level = rng.uniform(0.5, 0.62)
    wood = np.array([(0.55, 0.36, 0.20), (0.36, 0.23, 0.14), (0.78, 0.74, 0.68)][rng.integers(3)])
    grain = 1 + 0.12 * sketch.noise(10, 3, (6, 0.5)) + 0.25 * (sketch.y - 0.8)
    cover = np.clip((sketch.y - level) * sketch.side, 0, 1)
    table = (wood * sketch.light * grain[..., None]).clip(0, 1).astype(np.float32)
    sketch.paint(cover, table, sketch.add("table"))
    count = int(rng.integers(1, 4))
    radius = rng.uniform(0.2, 0.25) if count == 1 else rng.uniform(0.13, 0.19)
    chosen = [str(name) for name in rng.choice(list(FRUITS), count, replace=False)]
    spots = [0.5] if count == 1 else list(np.linspace(radius + 0.05, 0.95 - radius, count))
    for name, x in zip(chosen, spots, strict=True):
        y = rng.uniform(level + 0.02, 0.92 - radius)
        _paint_fruit(sketch, name, x + rng.normal(0, 0.02), y, radius * rng.uniform(0.92, 1.08))
    words = [f"an {name}" if name[0] == "o" else f"a {name}" for name in chosen]
    things = " and ".join([", ".join(words[:-1]), words[-1]] if count > 1 else words)
    return things, f"on a table {place}"


def _paint_fruit(sketch: Sketch, name: str, x: float, y: float, radius: float) -> None:
    tone, flat = FRUITS[name]
    way, tall = sketch.sun_side, flat * radius
    shadow = sketch.ellipses((x - 0.6 * way * radius, y + 0.85 * tall, 1.2 * radius, 0.3 * radius))
    sketch.paint(0.5 * blur(shadow, 2 * sketch.unit), np.zeros(3, np.float32))
    number = sketch.add(name.split()[-1])
    u, v = (sketch.x - x) / radius, (sketch.y - y) / tall
    bulge = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    light = 0.35 + 0.75 * np.clip(0.45 * way * u - 0.5 * v + 0.72 * bulge, 0, 1)
    skin = sketch.tone(tone) * sketch.light * 1.15
    ink = skin * (light * (1 + 0.05 * sketch.noise(30, 3)))[..., None]
    gleam = np.exp(-((u - 0.35 * way) ** 2 + (v + 0.42) ** 2) / 0.03)[..., None]
    body = [(x, y, radius, tall)]
    if name == "lemon":
        body += [(x + s * 0.95 * radius, y, 0.25 * radius, 0.22 * radius) for s in (-1, 1)]
    cover = sketch.ellipses(*body)
    sketch.paint(cover, (ink + 0.45 * gleam).clip(0, 1).astype(np.float32), number)
    if name != "lemon" and name != "orange":
        stem = [(x, y - 0.8 * tall), (x + 0.12 * radius, y - 1.25 * tall)]
        sketch.paint(sketch.line(stem, 0.09 * radius), np.array((0.3, 0.2, 0.1)) * sketch.light)


def _room(sketch: Sketch, name: str) -> str:
    """A plain wall, lighter on the sun's side."""
    colour = str(sketch.rng.choice(list(_WALLS)))
    sketch.light = sketch.rng.uniform((0.92, 0.9, 0.82), (1.04, 1.0, 1.0)).astype(np.float32)
    wall = sketch.tone(colour) * 0.6 + 0.3
    shade = 0.9 + 0.5 * sketch.sun_side * (sketch.x - 0.5) + 0.04 * sketch.noise(4, 4)
    ink = (wall * _WALLS[colour] * shade[..., None]).clip(0, 1).astype(np.float32)
    sketch.paint(np.ones_like(sketch.y), ink, sketch.add(name))
    return f"before a {colour} wall"


def _outdoors(sketch: Sketch) -> str:
    """Ground and sky, or leaves, out of focus."""
    rng = sketch.rng
    sky = str(rng.choice(list(scenery.SKIES), p=(0.56, 0.26, 0.14, 0.04)))
    if rng.random() < 0.35:
        scenery.paint_sky(sketch, sky, 1.0)
        sketch.names[-1] = "background"
        leaves = sketch.noise(5, 4)[..., None]
        green = np.array((0.24, 0.38, 0.14)) + np.array((0.15, 0.15, 0.06)) * np.clip(
            leaves, -1.2, 1.8
        )
        sketch.paint(np.ones_like(sketch.y), _haze(green * sketch.light), 0)
        place = "before green leaves"
    else:
        ground = str(rng.choice(list(scenery.GROUNDS), p=(0.6, 0.16, 0.12, 0.12)))
        horizon = rng.uniform(0.3, 0.6)
        scenery.paint_sky(sketch, sky, horizon)
        if rng.random() < 0.4:
            scenery.paint_hills(sketch, str(rng.choice(list(scenery.HILLS))), sky, horizon)
        scenery.paint_ground(sketch, ground, horizon)
        place = f"{scenery.GROUND_WORDS[ground]} under a {sky} sky"
    sketch.picture = blur(sketch.picture, rng.uniform(0.8, 2.4) * sketch.unit)
    return place


def _haze(colour: Array) -> Array:
    return np.asarray(colour + _SHADED * 0.4, np.float32).clip(0, 1)
