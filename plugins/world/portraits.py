"""People from the chest up: hair, face and clothes, each a region of its own."""

import numpy as np

from .sketch import Array, Point, Sketch, blur

HAIR = {
    "black": (0.10, 0.08, 0.08),
    "brown": (0.34, 0.20, 0.11),
    "blond": (0.82, 0.64, 0.34),
    "red": (0.62, 0.26, 0.10),
    "gray": (0.62, 0.61, 0.60),
}
PEOPLE = ("woman", "man", "girl", "boy")
CLOTHES = ("red", "blue", "white", "yellow", "green", "purple", "black", "gray")
_SKINS = ((0.95, 0.78, 0.67), (0.88, 0.67, 0.52), (0.74, 0.52, 0.37), (0.55, 0.36, 0.24),
          (0.36, 0.23, 0.16))  # fmt: skip


def paint_portrait(sketch: Sketch, person: str, hair: str, clothes: str) -> None:
    """A head and shoulders that fill most of the sketch."""
    rng = sketch.rng
    skin = np.array(_SKINS[rng.integers(5)], np.float32) * rng.uniform(0.94, 1.05)
    x, y, size = rng.uniform(0.44, 0.56), rng.uniform(0.40, 0.47), rng.uniform(0.21, 0.26)
    mane = np.array(HAIR[hair], np.float32) * rng.uniform(0.9, 1.1)
    long = person in ("woman", "girl") and rng.random() < 0.75
    wide = size * (0.80 if person == "man" else 0.76)
    lock = sketch.add("hair")
    if long:
        _paint_long_hair(sketch, (x, y), size, _strands(sketch, mane * 0.75), lock)
    _paint_shoulders(sketch, (x, y), size, person, clothes, skin)
    number = sketch.add("face")
    ears = [(x + side * wide, y + 0.06 * size, 0.13 * size, 0.2 * size) for side in (-1, 1)]
    sketch.paint(sketch.ellipses(*ears), _form(sketch, skin * 0.85, (x, y), size), number)
    sketch.paint(_outline(sketch, (x, y), size, wide), _form(sketch, skin, (x, y), size), number)
    _paint_features(sketch, (x, y), size, person, skin, mane)
    if person == "man" and rng.random() < 0.4:
        _paint_beard(sketch, (x, y), size, wide, _strands(sketch, mane), lock)
    _paint_fringe(sketch, (x, y), size, wide, _strands(sketch, mane), lock)


def _form(sketch: Sketch, colour: Array, middle: Point, size: float) -> Array:
    """Skin lit from the sun's side, falling off round the head [S, S, 3]."""
    u, v = (sketch.x - middle[0]) / size, (sketch.y - middle[1]) / size
    shade = 1.06 + 0.2 * sketch.sun_side * u - 0.09 * v - 0.12 * u**2
    shade = np.clip(shade, 0.6, 1.22) * (1 + 0.012 * sketch.noise(30, 3))
    cheeks = sum(np.exp(-((u - s * 0.42) ** 2 + (v - 0.3) ** 2) / 0.05) for s in (-1, 1))
    blush = 1 - 0.10 * np.asarray(cheeks)[..., None] * np.array((0, 1, 0.9))
    lit = colour * (0.4 + 0.6 * sketch.light) * shade[..., None] * blush
    return np.asarray(lit, np.float32).clip(0, 1)


def _strands(sketch: Sketch, colour: Array) -> Array:
    streaks = 1 + 0.17 * sketch.noise(26, 3, (0.6, 3)) + 0.1 * sketch.noise(5, 2)
    shade = streaks * (1 + 0.5 * sketch.sun_side * (sketch.x - 0.5))
    light = 0.4 + 0.6 * sketch.light
    return np.asarray(colour * light * shade[..., None] + 0.015, np.float32).clip(0, 1)


def _outline(sketch: Sketch, middle: Point, size: float, wide: float) -> Array:
    """An egg with its narrow end at the chin."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    narrow = np.where(np.sin(turn) > 0, 1 - 0.24 * np.sin(turn) ** 2, 1.0)
    x = middle[0] + wide * np.cos(turn) * narrow
    y = middle[1] + size * np.sin(turn) * np.where(np.sin(turn) > 0, 1.12, 1.05)
    return sketch.polygon(list(zip(x, y, strict=True)))


def _paint_long_hair(sketch: Sketch, at: Point, size: float, ink: Array, number: int) -> None:
    x, y = at
    fall = sketch.rng.uniform(0.9, 1.9) * size
    flare = sketch.rng.uniform(1.0, 1.25) * size
    sheet = [(x - 0.95 * size, y - 0.2 * size), (x + 0.95 * size, y - 0.2 * size)]
    sheet += [(x + flare, y + fall), (x - flare, y + fall)]
    cap = sketch.ellipses((x, y - 0.25 * size, 1.02 * size, 1.05 * size))
    sketch.paint(np.maximum(cap, blur(sketch.polygon(sheet), 2 * sketch.unit)), ink, number)


def _paint_shoulders(
    sketch: Sketch, at: Point, size: float, person: str, clothes: str, skin: Array
) -> None:
    x, y = at
    broad = size * {"man": 2.05, "woman": 1.75}.get(person, 1.55)
    top = y + 1.5 * size
    neck = [(x - 0.42 * size, y + 0.5 * size), (x + 0.42 * size, y + 0.5 * size)]
    neck += [(x + 0.55 * size, top + 0.4 * size), (x - 0.55 * size, top + 0.4 * size)]
    tone = _form(sketch, skin * 0.8, (x, y + size), 1.2 * size)
    cloth, number = sketch.lit(sketch.tone(clothes), 0.03, 4, 0.5), sketch.add("clothes")
    folds = 1 + 0.07 * sketch.noise(9, 3, (1, 2.5))[..., None]
    turn = np.linspace(np.pi, 2 * np.pi, 24)
    body = [(x + broad * np.cos(t), top + 0.7 * size * (1 + np.sin(t)) - 0.3 * size) for t in turn]
    body += [(x + 1.08 * broad, 1.05), (x - 1.08 * broad, 1.05)]
    sketch.paint(sketch.polygon(body), (cloth * folds).clip(0, 1).astype(np.float32), number)
    collar = sketch.ellipses((x, top - 0.28 * size, 0.58 * size, 0.34 * size))
    throat = np.maximum(sketch.polygon(neck) * (sketch.y < top - 0.2 * size), collar)
    sketch.paint(throat, tone, sketch.add("face"))


def _paint_features(
    sketch: Sketch, at: Point, size: float, person: str, skin: Array, mane: Array
) -> None:
    (x, y), rng, dim = at, sketch.rng, 0.4 + 0.6 * sketch.light
    gap, level = 0.34 * size, y + 0.02 * size
    iris = np.array([(0.22, 0.13, 0.08), (0.22, 0.40, 0.56), (0.24, 0.36, 0.2)][rng.integers(3)])
    for side in (-1, 1):
        spot = (x + side * gap, level)
        socket = sketch.ellipses((*spot, 0.25 * size, 0.19 * size))
        sketch.paint(0.35 * blur(socket, 2 * sketch.unit), skin * 0.5)
        sketch.paint(sketch.ellipses((*spot, 0.185 * size, 0.10 * size)), 0.94 * dim)
        sketch.paint(sketch.ellipses((*spot, 0.095 * size, 0.105 * size)), iris * dim)
        sketch.paint(sketch.ellipses((*spot, 0.05 * size, 0.055 * size)), 0.05 * dim)
        lid = [(spot[0] + d * size, level - (0.1 - 2 * d * d) * size) for d in (-0.19, 0, 0.19)]
        sketch.paint(sketch.line(lid, 0.05 * size), skin * 0.3)
        brow = [(spot[0] + side * d * size, level - h * size)
                for d, h in ((-0.18, 0.24), (0.04, 0.31), (0.22, 0.24))]  # fmt: skip
        thick = 0.09 if person in ("man", "boy") else 0.06
        sketch.paint(0.85 * sketch.line(brow, thick * size), mane * 0.6 * dim)
    shaded = [(x - sketch.sun_side * 0.03 * size, level + 0.08 * size)]
    shaded += [(x - sketch.sun_side * 0.11 * size, y + 0.4 * size)]
    sketch.paint(0.3 * blur(sketch.line(shaded, 0.09 * size), sketch.unit), skin * 0.45)
    nostrils = [(x + s * 0.085 * size, y + 0.42 * size, 0.06 * size, 0.04 * size) for s in (-1, 1)]
    sketch.paint(0.7 * sketch.ellipses(*nostrils), skin * 0.45)
    smile = rng.uniform(0.0, 0.1)
    lips = [(x + d * size, y + (0.68 - smile * (abs(d) / 0.25) ** 2) * size)
            for d in (-0.25, -0.12, 0, 0.12, 0.25)]  # fmt: skip
    red = 0.4 * skin + np.array((0.36, 0.08, 0.09)) * (1.2 if person == "woman" else 0.8)
    sketch.paint(sketch.line(lips, 0.12 * size), (red * dim).astype(np.float32))
    sketch.paint(0.8 * sketch.line(lips, 0.035 * size), red * 0.4 * dim)


def _paint_beard(
    sketch: Sketch, at: Point, size: float, wide: float, ink: Array, number: int
) -> None:
    low = np.clip((sketch.y - at[1] - 0.42 * size) / (0.06 * size), 0, 1)
    mouth = sketch.ellipses((at[0], at[1] + 0.67 * size, 0.28 * size, 0.11 * size))
    face = _outline(sketch, (at[0], at[1] + 0.05 * size), size, 1.03 * wide)
    sketch.paint(blur(face * low * (1 - mouth), sketch.unit) * 0.93, ink, number)


def _paint_fringe(
    sketch: Sketch, at: Point, size: float, wide: float, ink: Array, number: int
) -> None:
    """The hair over the forehead: a parting to one side and locks down to the ears."""
    (x, y), rng = at, sketch.rng
    cap = sketch.ellipses((x, y - 0.34 * size, 1.12 * wide, 0.9 * size))
    part = x + rng.uniform(-0.35, 0.35) * size
    tall, drop = rng.uniform(0.42, 0.62), rng.uniform(0.5, 0.8)
    away = np.abs(sketch.x - part) / wide
    edge = y + (-tall + drop * away**2.2) * size + 0.012 * sketch.noise(20, 2, (0.6, 3))
    # off the eyes: low only at the temples
    temple = np.abs(sketch.x - x) > 0.74 * wide
    down = y + np.where(temple, rng.uniform(-0.1, 0.15), -0.3) * size
    hair = np.clip((np.minimum(edge, down) - sketch.y) * sketch.side / 2 + 0.5, 0, 1)
    sketch.paint(cap * hair, ink, number)
