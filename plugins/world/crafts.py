"""Styles made of material: folded facets, woven wool, chalk, knife strokes, satin stitches."""

import cv2
import numpy as np

from .sketch import Array, blur
from .textures import Source, colour, flow, grey, hatch, mix, saturate, turned


def low_poly(source: Source) -> Array:
    """Flat triangles, each a little lighter or darker than its neighbours."""
    pitch, rng, side = 14.0, source.rng, source.side
    count = int(128 / pitch) + 3
    corners = (np.stack(np.mgrid[0:count, 0:count], -1) - 0.5) * pitch
    corners = (corners + rng.uniform(-0.34, 0.34, corners.shape) * pitch) * source.unit
    picture = saturate(source.smooth(2.5), 1.35, 0.02)
    out = picture.copy()
    slant = rng.random((count, count)) < 0.5
    for i in range(count - 1):
        for j in range(count - 1):
            a, b, c, d = (corners[i + p, j + q] for p, q in ((0, 0), (0, 1), (1, 1), (1, 0)))
            for triangle in ((a, b, c), (a, c, d)) if slant[i, j] else ((a, b, d), (b, c, d)):
                y, x = np.mean(triangle, 0).clip(0, side - 1).astype(int)
                ink = (picture[y, x] * rng.uniform(0.78, 1.2)).clip(0, 1).tolist()
                points = np.array(triangle)[:, ::-1].round().astype(np.int32)
                cv2.fillConvexPoly(out, points, ink)
    # narrow things keep their own colour: a facet takes what lies under its middle
    own = saturate(source.flat, 1.35, 0.02)
    strange = np.abs(grey(out) - grey(own)) > 0.16
    return mix(out, own, 0.6 * blur(strange.astype(np.float32), source.unit))


def tapestry(source: Source) -> Array:
    """Wool threads that pass over and under one another."""
    thread = 8.0
    row, column = source.grid
    across, down = np.floor(column / thread), np.floor(row / thread)
    wool = saturate(source.smooth(1.8), 1.35, 0.02)
    over = (across + down) % 2 == 0
    u, v = column / thread - across, row / thread - down
    side = np.sin(np.pi * np.where(over, v, u))
    end = np.sin(np.pi * np.where(over, u, v)) ** 0.3
    shade = 0.22 + 0.9 * side * (0.35 + 0.65 * end) + np.where(over, 0.1, 0)
    return (wool * (shade + 0.03 * source.noise(10))[..., None]).clip(0, 1).astype(np.float32)


def chalk(source: Source) -> Array:
    """Broken strokes of pale chalk on a dark board."""
    board = colour(0.12, 0.17, 0.16) * (1 + 0.12 * source.noise(30, 3))[..., None]
    dust = np.clip(0.72 + 0.4 * source.noise(9, 2), 0.1, 1)
    lines = turned(source, 60) + 1.5 * source.noise(30)
    rubbed = hatch(lines, 9, 2.6 + 4.4 * source.level) * (0.4 + 0.5 * source.level) * dust
    stick = 0.3 + 0.75 * saturate(source.smooth(2) / grey(source.smooth(12))[..., None] * 0.5, 1.5)
    drawn = mix(board, stick, rubbed)
    return mix(drawn, colour(0.95, 0.94, 0.88), source.edges * np.clip(dust + 0.25, 0, 1))


def palette_knife(source: Source) -> Array:
    """Square-ended slabs of thick paint, a ridge of light along one side of each."""
    rng, unit, side = source.rng, source.unit, source.side
    picture = saturate(source.smooth(1.5), 1.3, 0.02)
    angle = flow(source, 6)
    out = source.smooth(4).copy()
    for pitch, length, width in ((9, 11, 6.5), (8, 8, 4.5)):
        spots = np.stack(np.mgrid[0:128:pitch, 0:128:pitch], -1).reshape(-1, 2) + pitch / 2
        spots = rng.permutation(spots + rng.uniform(-0.4, 0.4, spots.shape) * pitch) * unit
        turns = rng.normal(0, 0.45, len(spots))
        bright = rng.normal(1, 0.11, len(spots))
        for (y, x), turn, gain in zip(spots, turns, bright, strict=True):
            row, column = (int(min(max(v, 0), side - 1)) for v in (y, x))
            slope = float(angle[row, column]) + turn
            along = np.array((np.cos(slope), np.sin(slope))) * length * unit
            aside = np.array((-np.sin(slope), np.cos(slope))) * width * unit
            middle, ink = np.array((x, y)), picture[row, column] * gain
            slab = np.stack([middle + a * along / 2 + b * aside / 2
                             for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])  # fmt: skip
            points = slab.round().astype(np.int32)
            cv2.fillConvexPoly(out, points, ink.clip(0, 1).tolist(), cv2.LINE_AA)
            for first, second, light in ((0, 1, 1.3), (2, 3, 0.66)):
                ridge = (ink * light + 0.03 * (light - 1)).clip(0, 1).tolist()
                ends = [tuple(map(int, points[k])) for k in (first, second)]
                cv2.line(out, *ends, ridge, max(1, round(1.3 * unit)), cv2.LINE_AA)
    return out.clip(0, 1)


def embroidery(source: Source) -> Array:
    """Satin stitches in silk, each thing sewn in one direction, on linen."""
    rng, thread, length = source.rng, 8.0, 26.0
    turns = rng.permutation(np.linspace(0.2, np.pi + 0.2, 7, endpoint=False))
    slope = turns[source.label % 7].astype(np.float32)
    row, column = source.grid
    across = (column * np.cos(slope) + row * np.sin(slope)) / thread
    along = row * np.cos(slope) - column * np.sin(slope)
    index = np.floor(across)
    stitch = along / length + 0.5 * (index % 2) + 0.13 * (index % 5)
    silk = saturate(0.55 * source.smooth(2.5) + 0.45 * source.flat, 1.6, 0.05)
    silk = silk * rng.uniform(0.86, 1.14, 64)[(index.astype(int) * 7 + np.floor(stitch).astype(
        int) * 13 + source.label) % 64][..., None]  # fmt: skip
    gloss = np.sin(np.pi * (across - index)) ** 0.7
    end = np.abs(stitch - np.floor(stitch) - 0.5) * 2
    shade = 0.36 + 0.78 * gloss * (1 - 0.6 * np.clip((end - 0.8) * 5, 0, 1))
    cord = np.clip(source.outlines * 1.2, 0, 1)
    sewn = mix(silk * shade[..., None], silk * 0.32, 0.85 * cord)
    return blur(sewn.clip(0, 1).astype(np.float32), 0.35 * source.unit)
