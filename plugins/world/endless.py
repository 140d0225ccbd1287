"""Styles without end: every number is one, mixed from a fill, inks, a texture and lines.

What reads a style off a picture has to see far more of them than the named ones, or it learns to
tell eighteen apart. The held-out styles are not among these, though some of their means are: cells
are smaller than panes of glass, lines do not glow, ruled lines do not bend with the light.
"""

from collections.abc import Callable

import cv2
import numpy as np

from .sketch import Array, blur
from .styles import Style
from .textures import Brush, Source, cells, flow, grey, hatch, mix, saturate, strokes, turned

Layer = Callable[[Source, Array], Array]
"""What a part of a style makes of the picture so far, [S, S, 3] in [0, 1]."""

_SEED = 20240311


def endless(number: int) -> Style:
    """Style `number`, any integer from 0; equal numbers give equal styles."""
    dice = np.random.default_rng((_SEED, number))
    layers = [part(dice) for part in (_fill, _inks, _texture, _lines)]

    def style(source: Source) -> Array:
        picture = source.picture
        for layer in layers:
            picture = layer(source, picture).clip(0, 1).astype(np.float32)
        return picture

    return style


def _fill(dice: np.random.Generator) -> Layer:
    """How surfaces are laid: blurred, stepped, cut out, in cells, in blocks or in strokes."""
    kind = dice.choice(["smooth", "stepped", "flat", "cells", "blocks", "strokes"])
    radius, steps = dice.uniform(0.6, 3), dice.integers(2, 6)
    pitch, jitter, spread = dice.uniform(8, 13), dice.uniform(0.1, 1), dice.uniform(0, 0.2)
    brush = Brush(dice.uniform(8, 22), dice.uniform(3, 7), dice.uniform(4, 6), spread / 2)
    slope = dice.uniform(0, np.pi) if dice.random() < 0.5 else None
    blocks = int(dice.integers(16, 28))

    def layer(source: Source, picture: Array) -> Array:
        soft = source.smooth(radius)
        if kind == "stepped":
            return blur(np.round(soft * steps) / steps, 0.5 * source.unit)
        if kind == "flat":
            return blur(0.2 * soft + 0.8 * source.flat, 0.5 * source.unit)
        if kind == "cells":
            return cells(source, pitch, jitter).fill(source, soft, spread)
        if kind == "blocks":
            small = cv2.resize(picture, (blocks, blocks), interpolation=cv2.INTER_AREA)
            return cv2.resize(small, (source.side,) * 2, interpolation=cv2.INTER_NEAREST)
        if kind == "strokes":
            angle = flow(source) if slope is None else np.full_like(source.level, slope)
            return strokes(source, soft, angle + 0.2 * source.noise(30), brush, source.smooth(3))
        return soft

    return layer


def _inks(dice: np.random.Generator) -> Layer:
    """Which colours: the picture's own, turned, tinted, or between two or three inks."""
    kind = dice.choice(["own", "own", "turned", "tinted", "two", "three", "negative"])
    amount, lift = dice.uniform(0.4, 1.9), dice.uniform(-0.06, 0.08)
    order, tint = dice.permutation(3), dice.uniform(0.35, 1.1, 3)
    dark, middle, light = (
        dice.uniform(0, 0.4, 3),
        dice.uniform(0.1, 0.9, 3),
        dice.uniform(0.6, 1, 3),
    )
    if dice.random() < 0.25:
        dark, light = light, dark

    def layer(source: Source, picture: Array) -> Array:
        if kind in ("two", "three"):
            knots = (0.1, 0.9) if kind == "two" else (0.1, 0.5, 0.9)
            inks = (dark, light) if kind == "two" else (dark, middle, light)
            level = grey(picture)
            return np.stack([np.interp(level, knots, [i[c] for i in inks]) for c in range(3)], -1)
        coloured = saturate(picture, amount, lift)
        if kind == "turned":
            return coloured[..., order]
        if kind == "negative":
            return 1 - coloured
        return coloured * tint if kind == "tinted" else coloured

    return layer


def _texture(dice: np.random.Generator) -> Layer:
    """What lies over the surfaces: nothing, ruled lines, a grid, dots, joints, grain or weave."""
    kind = dice.choice(
        ["none", "lines", "lines", "waves", "grid", "dots", "joints", "grain", "weave"]
    )
    pitch, angle, width = dice.uniform(8, 13), dice.uniform(0, 180), dice.uniform(2, 4)
    ink = dice.uniform(0, 0.35, 3) if dice.random() < 0.6 else dice.uniform(0.65, 1, 3)
    cover, by_tone, dark_ink = dice.uniform(0.35, 1), dice.random() < 0.6, ink.mean() < 0.5

    def layer(source: Source, picture: Array) -> Array:
        level = source.level if dark_ink else 1 - source.level
        broad = width * (1.7 * (1 - level)) if by_tone else np.full_like(level, width)
        first, second = turned(source, angle), turned(source, angle + 90)
        if kind == "grain":
            return picture * (1 + 0.3 * cover * source.noise(9, 2))[..., None]
        if kind == "weave":
            shade = np.sin(np.pi * first / pitch) * np.sin(np.pi * second / pitch)
            return picture * (1 + 0.45 * cover * shade)[..., None]
        pattern = {
            "none": lambda: np.zeros_like(level),
            "lines": lambda: hatch(first, pitch, broad),
            "waves": lambda: hatch(first + 2.5 * source.noise(30), pitch, broad),
            "grid": lambda: np.maximum(hatch(first, pitch, width / 2), hatch(second, pitch, 1)),
            "dots": lambda: _dots(first / pitch, second / pitch, pitch, broad),
            "joints": lambda: np.clip(width - cells(source, pitch, 0.5).border, 0, 1),
        }[kind]()
        return mix(picture, ink.astype(np.float32), cover * pattern)

    return layer


def _dots(u: Array, v: Array, pitch: float, broad: Array) -> Array:
    """Round dots [S, S] on a grid, `broad` their radius in units."""
    away = np.hypot(u - np.round(u), v - np.round(v)) * pitch
    return np.clip((broad - away) * 1.3 + 0.5, 0, 1)


def _lines(dice: np.random.Generator) -> Layer:
    """How things are outlined: not at all, between things only, or wherever colours change."""
    kind = dice.choice(["none", "none", "outlines", "edges", "edges"])
    ink = dice.uniform(0, 0.3, 3) if dice.random() < 0.7 else dice.uniform(0.7, 1, 3)
    cover, soft = dice.uniform(0.5, 1), dice.uniform(0.1, 0.8)

    def layer(source: Source, picture: Array) -> Array:
        if kind == "none":
            return picture
        drawn = source.outlines if kind == "outlines" else source.edges
        return mix(picture, ink.astype(np.float32), cover * blur(drawn, soft * source.unit))

    return layer
