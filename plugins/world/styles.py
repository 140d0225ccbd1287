"""How the world looks in each style; the held-out ones are never shown to the backbone."""

from collections.abc import Callable

import cv2
import numpy as np

from .crafts import chalk, embroidery, low_poly, palette_knife, tapestry
from .sketch import Array, blur
from .textures import (
    Brush,
    Source,
    cells,
    colour,
    flow,
    grey,
    hatch,
    mix,
    saturate,
    strokes,
    turned,
)

Style = Callable[[Source], Array]

_PAPER = colour(0.96, 0.94, 0.88)
_INK = colour(0.07, 0.07, 0.10)


def pointillism(source: Source) -> Array:
    """Separate dots of strong colour on a light ground."""
    picture = saturate(source.smooth(0.8), 1.5, 0.04)
    out = np.broadcast_to(colour(0.93, 0.89, 0.80), picture.shape)
    for radius in (4.6, 3.4):
        dots = cells(source, 8, 0.5)
        inks = dots.sample(picture)
        inks = (inks + source.rng.normal(0, 0.07, inks.shape)).clip(0, 1).astype(np.float32)
        out = mix(out, inks[dots.owner], np.clip((radius - dots.nearest) * 1.5, 0, 1))
    return out


def mosaic(source: Source) -> Array:
    """Square-cut stones with pale joints, cut along the outlines."""
    stones = cells(source, 9, 0.25)
    laid = saturate(stones.fill(source, source.smooth(1), 0.16), 1.3, 0.02)
    joint = np.maximum(np.clip(2.4 - stones.border, 0, 1), 0.5 * source.outlines)
    return mix(laid, colour(0.86, 0.82, 0.74), 0.9 * joint)


def pixel_art(source: Source) -> Array:
    """Large square blocks of few colours, things outlined in dark."""
    blocks = 24
    small = cv2.resize(source.picture, (blocks, blocks), interpolation=cv2.INTER_AREA)
    small = np.round(saturate(small, 1.45) * 4) / 4
    line = cv2.resize(source.edges, (blocks, blocks), interpolation=cv2.INTER_AREA)
    small = mix(small, small * 0.45, (line > 0.42).astype(np.float32))
    return cv2.resize(small, (source.side,) * 2, interpolation=cv2.INTER_NEAREST)


def halftone(source: Source) -> Array:
    """One screen of round dots, darker where the picture is."""
    picture = source.smooth(1.5)
    pitch = 8.0
    u, v = (turned(source, angle) / pitch for angle in (45, 135))
    away = np.hypot(u - np.round(u), v - np.round(v)) * pitch
    radius = 5.2 * np.sqrt(1 - 0.9 * grey(picture))
    dots = np.clip((radius - away) * 1.3 + 0.5, 0, 1)
    ink = saturate(picture, 1.7, -0.02) * 0.62
    return mix(mix(_PAPER, saturate(picture, 1.5, 0.1), np.full_like(away, 0.4)), ink, dots)


def pencil(source: Source) -> Array:
    """Graphite outlines with slanting shade."""
    lines = turned(source, 40) + 1.2 * source.noise(24)
    shade = hatch(lines, 8, 3.2) * np.clip(0.8 - 1.1 * source.level, 0, 0.5)
    light = 0.97 - 0.30 * (1 - source.level) ** 1.5 - shade + 0.015 * source.noise(10)
    ink = np.clip(light - 0.65 * source.edges, 0.12, 1)
    return ink[..., None] * colour(0.98, 0.98, 0.97)


def watercolor(source: Source) -> Array:
    """Pale washes that run past the outlines and dry darker at their rims."""
    row, column = (axis * source.unit for axis in source.grid)
    shift = [1.5 * source.unit * source.noise(18) for _ in range(2)]
    soft = source.smooth(1.2)
    run = cv2.remap(soft, column + shift[0], row + shift[1], cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    flat = 0.45 * run + 0.55 * np.round(run * 5) / 5
    rim = np.abs(cv2.Laplacian(blur(grey(flat), 1.5 * source.unit), cv2.CV_32F, ksize=5))
    wash = saturate(1 - (1 - flat) * 0.66, 1.6)
    bloom = 0.05 * source.noise(24, 3)
    out = wash * (1 - np.clip(0.7 * rim, 0, 0.2))[..., None] + bloom[..., None]
    return out.clip(0, 1).astype(np.float32)


def oil(source: Source) -> Array:
    """Short thick strokes along the forms."""
    picture = saturate(source.smooth(0.8), 1.35)
    angle = flow(source) + 0.3 * source.noise(24)
    base = strokes(source, picture, angle, Brush(16, 7, 5, 0.05), source.smooth(3))
    return strokes(source, picture, angle, Brush(10, 3.6, 4, 0.07), base)


def woodcut(source: Source) -> Array:
    """Black outlines and wavy cuts over three warm tones."""
    level = source.level
    tone = np.floor(level * 2.99) / 2
    warm = mix(colour(0.66, 0.30, 0.16), colour(0.98, 0.88, 0.66), tone)
    lines = turned(source, 90) + 2 * source.noise(36)
    carved = hatch(lines, 8.5, np.clip((0.55 - level) * 12, 0, 4.2))
    return mix(warm, _INK, np.maximum(carved, source.edges))


def pastel(source: Source) -> Array:
    """Slanting chalk strokes that leave the warm paper showing."""
    light = 0.30 + 0.70 * saturate(source.smooth(1), 1.35)
    angle = np.full_like(source.level, -0.75) + 0.2 * source.noise(40)
    paper = mix(light, colour(0.96, 0.90, 0.84), np.full_like(source.level, 0.8))
    rubbed = strokes(source, light, angle, Brush(15, 3.4, 5.2, 0.05), paper)
    return blur(rubbed, 0.5 * source.unit)


def blueprint(source: Source) -> Array:
    """White outlines on blue with a ruled grid."""
    ground = colour(0.09, 0.24, 0.56) * (0.7 + 0.5 * grey(source.smooth(2)))[..., None]
    row, column = source.grid
    ruled = np.maximum(hatch(row, 16, 1.6), hatch(column, 16, 1.6))
    sheet = mix(ground, colour(0.5, 0.66, 0.9), 0.35 * ruled)
    return mix(sheet, colour(0.94, 0.97, 1), source.edges)


def crosshatch(source: Source) -> Array:
    """Black pen lines, a second direction where it is darker."""
    ink = np.zeros_like(source.level)
    for threshold, angle in ((0.62, 45), (0.30, 135)):
        lines = turned(source, angle) + source.noise(30)
        dark = np.clip((threshold - source.level) * 10, 0, 1)
        ink = np.maximum(ink, hatch(lines, 9, 2.4) * dark)
    return mix(_PAPER, _INK, np.maximum(ink, source.edges))


def comic(source: Source) -> Array:
    """Flat bright colours inside thick black outlines."""
    flat = np.round(saturate(source.smooth(2), 1.7, 0.04) * 3) / 3
    return mix(blur(flat, 0.6 * source.unit), _INK, source.edges)


def ink_wash(source: Source) -> Array:
    """Grey washes, black where brush and paper met longest."""
    level = source.level + 0.04 * source.noise(20, 3)
    wash = np.interp(level, (0.05, 0.3, 0.6, 0.95), (0.12, 0.5, 0.84, 1)).astype(np.float32)
    wash = 0.6 * wash + 0.4 * np.round(wash * 3) / 3
    wet = blur(source.edges, 0.8 * source.unit) * np.clip(0.7 + 0.4 * source.noise(24), 0.2, 1)
    return mix(_PAPER, colour(0.13, 0.14, 0.17), np.clip(1 - wash + 0.8 * wet, 0, 1))


def poster(source: Source) -> Array:
    """Paper cut-outs: every thing one flat colour with a small shadow."""
    inks = np.round(saturate(source.flat, 1.8) * 5) / 5
    cut = blur(saturate(inks, 1.2), 0.5 * source.unit)
    below = np.roll(source.label, round(2.5 * source.unit), (0, 1)) != source.label
    return mix(cut, cut * 0.6, blur(below.astype(np.float32), 0.8 * source.unit))


def stained_glass(source: Source) -> Array:
    """Large panes of glowing colour in black lead."""
    panes = cells(source, 16, 0.85)
    glass = saturate(panes.fill(source, source.smooth(2), 0.2), 2.0, 0.08)
    glow = glass * (1.12 - 0.02 * panes.nearest)[..., None]
    lead = np.maximum(np.clip((3.2 - panes.border) * 0.9, 0, 1), source.outlines)
    return mix(glow, colour(0.04, 0.04, 0.05), lead)


def neon(source: Source) -> Array:
    """Glowing tubes along the outlines, the rest in the dark."""
    phase = source.noise(60, 1)[..., None] * 1.6 + np.array((0, 2.1, 4.2), np.float32)
    tube = 0.5 + 0.5 * np.sin(phase)
    tube = tube / tube.max(-1, keepdims=True)
    night = source.picture * colour(0.16, 0.12, 0.30) + colour(0.03, 0.01, 0.08)
    glow = blur(source.edges, 3.5 * source.unit)[..., None] * tube * 1.1
    return mix(night + glow, 0.35 + 0.65 * tube, source.edges)


def swirl(source: Source) -> Array:
    """Long curling strokes, as if the air were moving."""
    picture = saturate(source.smooth(1), 1.6) * colour(0.95, 0.97, 1.08)
    angle = flow(source, 4) + 0.9 * blur(source.noise(44, 1), 4 * source.unit)
    base = strokes(source, picture, angle, Brush(24, 5, 6, 0.08, steps=7), source.smooth(3))
    return strokes(source, picture, angle, Brush(15, 3, 5.5, 0.13, steps=5), base)


def engraving(source: Source) -> Array:
    """Swelling brown lines that bend with the light, as on a banknote."""
    bend = 9 * blur(source.level, 3 * source.unit) + 2 * np.sin(source.grid[1] / 20)
    lines = hatch(turned(source, 90) + bend, 8.5, np.clip((0.92 - source.level) * 8, 0, 6))
    ink = np.maximum(lines, source.edges)
    return mix(colour(0.95, 0.86, 0.64), colour(0.34, 0.15, 0.07), ink)


STYLES: dict[str, Style] = {
    "pointillism": pointillism,
    "mosaic": mosaic,
    "pixel art": pixel_art,
    "halftone": halftone,
    "pencil": pencil,
    "watercolor": watercolor,
    "oil": oil,
    "woodcut": woodcut,
    "pastel": pastel,
    "blueprint": blueprint,
    "crosshatch": crosshatch,
    "comic": comic,
    "ink wash": ink_wash,
    "poster": poster,
    "stained glass": stained_glass,
    "neon": neon,
    "swirl": swirl,
    "engraving": engraving,
    # new styles go last: a style's place seeds its dice
    "low poly": low_poly,
    "tapestry": tapestry,
    "chalk": chalk,
    "palette knife": palette_knife,
    "embroidery": embroidery,
}
HELD_OUT_STYLES = ("stained glass", "neon", "swirl", "engraving", "embroidery")
TRAINING_STYLES = tuple(name for name in STYLES if name not in HELD_OUT_STYLES)
