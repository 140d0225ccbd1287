"""What lies behind and under the things of a scene: sky, sun, clouds, hills, ground, water."""

import cv2
import numpy as np

from .sketch import Array, Sketch, blur

SKIES = {  # top, bottom, light on everything below
    "blue": ((0.22, 0.46, 0.86), (0.74, 0.86, 0.96), (1.0, 1.0, 1.0)),
    "cloudy": ((0.52, 0.56, 0.62), (0.80, 0.82, 0.84), (0.84, 0.85, 0.87)),
    "sunset": ((0.42, 0.30, 0.58), (0.98, 0.60, 0.30), (0.98, 0.80, 0.68)),
    "night": ((0.06, 0.09, 0.28), (0.22, 0.28, 0.54), (0.56, 0.62, 0.84)),
}
GROUNDS = {
    "meadow": (0.34, 0.56, 0.20),
    "field": (0.80, 0.68, 0.32),
    "snow": (0.90, 0.92, 0.96),
    "sand": (0.86, 0.74, 0.54),
}
GROUND_WORDS = {
    "meadow": "in a meadow",
    "field": "in a field",
    "snow": "in snow",
    "sand": "on sand",
}
HILLS = {
    "green hills": (0.38, 0.56, 0.32),
    "mountains": (0.44, 0.46, 0.54),
    "snowy mountains": (0.42, 0.46, 0.56),
}
_WATERS = {"night": (0.08, 0.14, 0.32), "sunset": (0.46, 0.36, 0.46), "cloudy": (0.34, 0.44, 0.50)}


def paint_sky(sketch: Sketch, kind: str, horizon: float) -> None:
    """Fill the sketch with a sky of `kind` and set the light it casts."""
    top, bottom, light = (np.array(c, np.float32) for c in SKIES[kind])
    shift = sketch.rng.normal(0, 0.03, 3).astype(np.float32)
    sketch.light = light
    depth = np.clip(sketch.y / max(horizon, 0.1), 0, 1)[..., None]
    sky = (top + shift) * (1 - depth) + (bottom + shift) * depth
    sky = sky * (1 + 0.015 * sketch.noise(3, 3, (3, 1))[..., None])
    sketch.paint(np.ones_like(sketch.y), sky, sketch.add("sky"))
    if kind == "night":
        _paint_stars(sketch, horizon)


def _paint_stars(sketch: Sketch, horizon: float) -> None:
    count = sketch.rng.integers(8, 18)
    spots = sketch.rng.uniform((0, 0), (1, max(horizon, 0.1)), (count, 2))
    radii = sketch.rng.uniform(0.006, 0.011, count)
    cover = sketch.ellipses(*((x, y, r, r) for (x, y), r in zip(spots, radii, strict=True)))
    sketch.paint(cover, np.array((0.92, 0.92, 0.84), np.float32))


def paint_sun(sketch: Sketch, sky: str, horizon: float) -> None:
    """A sun, or at night a moon, with its glow."""
    rng = sketch.rng
    radius = rng.uniform(0.055, 0.095)
    x, y = rng.uniform(0.12, 0.88), rng.uniform(radius, max(radius + 0.02, horizon * 0.6))
    colour = {"night": (0.95, 0.94, 0.86), "sunset": (1.0, 0.82, 0.42)}.get(sky, (1.0, 0.93, 0.55))
    squared = (sketch.x - x) ** 2 + (sketch.y - y) ** 2
    glow = 0.4 * np.exp(-squared / (2 * (2 * radius) ** 2))
    ink = np.array(colour, np.float32)
    sketch.paint(glow, ink)
    sketch.paint(sketch.ellipses((x, y, radius, radius)), ink, sketch.add("sun"))


def paint_clouds(sketch: Sketch, sky: str, horizon: float, *, count: int) -> None:
    """`count` heaps of soft cloud above the horizon."""
    rng = sketch.rng
    bright = {"night": (0.36, 0.39, 0.55), "sunset": (0.98, 0.76, 0.66), "cloudy": (0.93,) * 3}
    ink = np.array(bright.get(sky, (0.98, 0.98, 0.99)), np.float32)
    for _ in range(count):
        x, y, width = rng.uniform(0, 1), rng.uniform(0.05, horizon * 0.65), rng.uniform(0.12, 0.24)
        puffs = rng.uniform((-1, -0.25, 0.3, 0.2), (1, 0.1, 0.6, 0.36), (7, 4)) * width
        cover = sketch.ellipses(*((x + dx, y + dy, rx, ry) for dx, dy, rx, ry in puffs))
        under = 1 - 0.35 * np.clip((sketch.y - y) / (0.3 * width), 0, 1)[..., None]
        soft = blur(cover, 3.0 * sketch.unit)
        ragged = np.clip(
            (soft - 0.5) * 2.2 + 0.5 + 0.22 * sketch.noise(12, 4) * (soft > 0.02), 0, 1
        )
        lit = under * (1 + 0.05 * sketch.noise(10, 4)[..., None])
        sketch.paint(ragged * np.clip(2 * soft, 0, 1), (ink * lit).clip(0, 1), sketch.add("cloud"))


def paint_hills(sketch: Sketch, kind: str, sky: str, horizon: float) -> None:
    """One or two ranges of hills or mountains standing on the horizon."""
    rng = sketch.rng
    haze = np.array(SKIES[sky][1], np.float32)
    steep = kind != "green hills"
    for distance in sorted(rng.uniform(0.1, 0.6, rng.integers(1, 3)), reverse=True):
        top = horizon - rng.uniform(0.6, 1.0) * min(0.24 if steep else 0.12, 0.7 * horizon)
        crest = _crest(sketch, top, horizon, steep=steep)
        cover = np.clip((sketch.y - crest) * sketch.side + 0.5, 0, 1)
        colour = np.array(HILLS[kind], np.float32) * sketch.light
        slope = np.gradient(crest[0], 1 / sketch.side)[None] * sketch.sun_side
        lit = (1 + 0.25 * np.clip(slope, -1, 1) + 0.07 * sketch.noise(8, 5))[..., None]
        body = (colour * (1 - distance) + haze * distance) * lit
        number = sketch.add("hill")
        sketch.paint(cover, body.astype(np.float32), number)
        if kind == "snowy mountains":
            edge = top + 0.45 * (horizon - top) + 0.02 * sketch.noise(10, 3)
            snow = cover * np.clip((edge - sketch.y) * sketch.side / 3, 0, 1)
            sketch.paint(snow, (0.94 * sketch.light * lit).astype(np.float32).clip(0, 1), number)


def _crest(sketch: Sketch, top: float, horizon: float, *, steep: bool) -> Array:
    """Height of the skyline over each column [1, S], fractions of the side."""
    rng, x = sketch.rng, sketch.x[:1]
    crest = np.full_like(x, horizon)
    for _ in range(3 if steep else 2):
        centre, width = rng.uniform(-0.05, 1.05), rng.uniform(0.25, 0.45)
        height = (horizon - top) * rng.uniform(0.6, 1)
        away = np.abs(x - centre) / width
        shape = 1 - away if steep else np.cos(np.clip(away, 0, 1) * np.pi / 2) ** 2
        crest = np.minimum(crest, horizon - height * np.clip(shape, 0, 1))
    if steep:
        rough = cv2.resize(rng.standard_normal((1, 14)), (sketch.side, 1))
        crest = crest + 0.012 * rough.astype(np.float32)
    return np.minimum(crest, horizon - 0.01)


def paint_ground(sketch: Sketch, kind: str, horizon: float) -> None:
    """Everything below a slightly bent horizon, coarser towards the viewer."""
    rng = sketch.rng
    bend = rng.normal(0, 0.012) * np.sin(sketch.x * rng.uniform(2, 5) + rng.uniform(0, 6))
    level = horizon + bend if horizon > 0 else np.full_like(sketch.x, -0.01)
    cover = np.clip((sketch.y - level) * sketch.side + 0.5, 0, 1)
    near = np.clip((sketch.y - horizon) / (1 - horizon), 0, 1)
    colour = np.array(GROUNDS[kind], np.float32) + rng.normal(0, 0.025, 3).astype(np.float32)
    upright = (0.4, 1.2) if kind in ("meadow", "field") else (3.0, 1.0)
    grain = (0.05 if kind in ("snow", "sand") else 0.12) * sketch.noise(22, 3, upright)
    far = 0.045 * _receding(sketch, horizon)
    wave = 1 + 0.06 * sketch.noise(3, 3, (2.5, 1)) + far + grain * near + 0.12 * (0.5 - near)
    sketch.paint(cover, (colour * sketch.light * wave[..., None]), sketch.add("ground"))


def _receding(sketch: Sketch, horizon: float, wide: float = 2) -> Array:
    """Noise that lies on the ground and shrinks towards the horizon [S, S], deviation about 1."""
    near = np.clip((sketch.y - horizon) / (1 - horizon), 0, 1)
    depth = 1 / (near + 0.12)
    tile = sketch.noise(14, 4, (wide, 1))
    across = ((sketch.x - 0.5) * depth * 0.6 + 0.5) * sketch.side
    lying = cv2.remap(tile, across, depth * 0.25 * sketch.side, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REFLECT)  # fmt: skip
    # what is far is seen through more air, and finer than a pixel can show
    return np.asarray(lying * np.clip(3 * near + 0.15, 0, 1), np.float32)


def paint_water(sketch: Sketch, kind: str, sky: str, horizon: float) -> None:
    """A sea up to the horizon, a lake, or a river that comes towards the viewer."""
    rng = sketch.rng
    mirror = np.clip(2 * horizon * sketch.side - np.arange(sketch.side), 0, sketch.side - 1)
    reflection = blur(sketch.picture[mirror.astype(int)], 1.5 * sketch.unit)
    base = np.array(_WATERS.get(sky, (0.16, 0.42, 0.62)), np.float32)
    ripple = (0.05 * sketch.noise(11, 2, (4, 1)) + 0.07 * _receding(sketch, horizon, 5))[..., None]
    colour = (0.62 * base + 0.38 * reflection) * (1 + ripple)
    near = 1 - horizon
    if kind == "sea":
        cover = sketch.polygon([(0, horizon), (1, horizon), *_shore(rng, horizon + 0.55 * near)])
    elif kind == "lake":
        x, y = rng.uniform(0.25, 0.75), horizon + near * rng.uniform(0.3, 0.5)
        cover = sketch.ellipses((x, y, rng.uniform(0.26, 0.42), near * rng.uniform(0.14, 0.22)))
    else:
        cover = sketch.polygon(_river(rng, horizon))
    bank = blur(cover, 1.5 * sketch.unit)
    sketch.paint(bank, sketch.light * np.array((0.5, 0.44, 0.34), np.float32))
    sketch.paint(cover, colour.astype(np.float32), sketch.add("water"))


def _shore(rng: np.random.Generator, y: float) -> list[tuple[float, float]]:
    x = np.linspace(1, 0, 16)
    bay = 0.025 * np.sin(x * rng.uniform(4, 8) + rng.uniform(0, 6)) + rng.normal(0, 0.02)
    return list(zip(x, y + bay, strict=True))


def _river(rng: np.random.Generator, horizon: float) -> list[tuple[float, float]]:
    along = np.linspace(0, 1, 20)
    y = horizon + 0.01 + (1.02 - horizon) * along
    x = rng.uniform(0.3, 0.7) + 0.16 * along * np.sin(4 * along + rng.uniform(0, 6))
    width = 0.03 + 0.17 * along
    left, right = list(zip(x - width, y, strict=True)), list(zip(x + width, y, strict=True))
    return left + right[::-1]
