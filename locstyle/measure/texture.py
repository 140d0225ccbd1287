"""Texture of a picture inside a mask, as three weights-free statistics of luminance.

Each part fails where another holds: oriented bands say which frequencies and directions there are
and how they hang together (after Portilla and Simoncelli, IJCV 2000), the gradient histogram how
many strokes of which strength and direction, patches what the strokes look like (sliced
Wasserstein, arXiv:2006.07229). None sees hue, and patches are freed of their mean and contrast, so
repainting a photo in a painting's palette leaves most of the distance
(`benchmarks/metric_check.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError

Array: TypeAlias = NDArray[np.float32]

LEVELS = 3  # halvings of the picture, finest first
REACH = 4  # pixels of each level: how far a statistic looks, so how far its centre stays inside
FEWEST = 256  # pixels well inside, below which a level says nothing
PATCH = 7  # pixels
PATCHES = 3000  # drawn per level

# Mean distance between crops of different paintings by part, finest level first, as printed by
# `benchmarks/metric_check.py`: what makes 1.0 mean "two paintings".
YARDSTICKS = (
    (1.1403, 0.3622, 0.1264),
    (1.0542, 0.3539, 0.1299),
    (1.0590, 0.3573, 0.1481),
)
# Spread of each kind of band statistic over the same crops: what lets kinds be averaged.
SPREAD = {"energy": 0.58, "skew": 0.67, "tail": 0.47, "repeat": 0.135, "together": 0.118}


class Texture(NamedTuple):
    """Distance between two textures, by part; 1.0 is the mean between two different paintings."""

    bands: float
    gradients: float
    patches: float

    @property
    def total(self) -> float:
        """Mean of the three parts."""
        return (self.bands + self.gradients + self.patches) / 3


class Level(NamedTuple):
    """What one halving of a picture looks like: three flat statistics."""

    bands: Array
    gradients: Array
    patches: Array


def describe(luminance: Array, inside: Array) -> list[Level]:
    """The statistics of a luminance picture inside its mask, finest level first.

    Args:
        luminance: [H, W] in [0, 100].
        inside: mask [H, W]; above 0.5 counts as inside.

    Only centres at least `REACH` pixels inside the mask count, at every halving. The list ends
    before the first level that has fewer than `FEWEST` of them, so it may be empty.

    Raises:
        MaskError: a mask of another size than its picture.
    """
    if luminance.shape != inside.shape:
        raise MaskError(
            f"mask: got size {inside.shape} for a picture of {luminance.shape}; "
            "give a mask of the picture's size"
        )
    picture, mask = luminance, (inside > 0.5).astype(np.float32)
    levels: list[Level] = []
    for _ in range(LEVELS):
        deep = _deep(mask)
        if deep.sum() < FEWEST:
            break
        levels.append(
            Level(_bands(picture, deep), _gradients(picture, deep), _patches(picture, deep))
        )
        picture = cv2.GaussianBlur(picture, (0, 0), 1.0)[::2, ::2]
        mask = np.ascontiguousarray(mask[::2, ::2])
    return levels


def between(one: Sequence[Level], other: Sequence[Level]) -> Texture:
    """Distance of two descriptions over the levels both have; nan parts where that is none."""
    levels = list(zip(one, other, strict=False))
    if not levels:
        return Texture(float("nan"), float("nan"), float("nan"))
    rows = [apart(a, b) for a, b in levels]
    scaled = np.asarray(rows) / np.asarray(YARDSTICKS)[: len(rows)]
    return Texture(*(float(part) for part in scaled.mean(0)))


def apart(one: Level, other: Level) -> tuple[float, float, float]:
    """Distance of two levels by part (bands, gradients, patches), each in its own unit."""
    return (
        float(np.abs(one.bands - other.bands).mean()),
        hellinger(one.gradients, other.gradients),
        float(np.abs(one.patches - other.patches).mean()),
    )


def hellinger(one: Array, other: Array) -> float:
    """Hellinger distance of two histograms of any shape, each summing to 1; in [0, 1]."""
    return float(np.sqrt(((np.sqrt(one) - np.sqrt(other)) ** 2).sum() / 2))


def _deep(mask: Array) -> NDArray[np.bool_]:
    """Pixels whose whole neighbourhood is inside the mask; the frame is no border."""
    kernel = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    return np.asarray(cv2.erode(mask, kernel) > 0.5)


def _bands(picture: Array, deep: NDArray[np.bool_]) -> Array:
    """Moments, autocorrelations and mutual correlations of four oriented second derivatives."""
    bands = _oriented(picture)
    kinds: dict[str, list[float]] = {kind: [] for kind in SPREAD}
    for band in bands:
        # 0.02: what 8-bit rounding leaves in a flat picture, so that flat is not minus infinity
        spread = float(band[deep].std()) + 0.02
        scaled = (band - band[deep].mean()) / spread
        kinds["energy"].append(np.log(spread))
        kinds["skew"].append(float((scaled[deep] ** 3).mean()))
        kinds["tail"].append(np.log1p(float((scaled[deep] ** 4).mean())))
        kinds["repeat"].extend(_autocorrelation(scaled, deep))
    strengths = np.stack([np.abs(band[deep]) for band in bands])
    strengths -= strengths.mean(1, keepdims=True)
    norms = np.sqrt((strengths**2).sum(1)) + 1e-3
    together = strengths @ strengths.T / np.outer(norms, norms)
    kinds["together"].extend(together[np.triu_indices(len(bands), 1)])
    return np.concatenate(
        [np.asarray(kinds[kind], np.float32) / SPREAD[kind] for kind in SPREAD], dtype=np.float32
    )


def _oriented(picture: Array) -> list[Array]:
    """Second derivatives of Gaussian, sigma 1.5, along 0, 45, 90 and 135 degrees (steerable)."""
    x = np.arange(-5, 6, dtype=np.float32)
    smooth = np.exp(-(x**2) / 4.5)
    smooth /= smooth.sum()
    first, second = -x / 2.25 * smooth, (x**2 / 5.0625 - 1 / 2.25) * smooth
    second -= second.mean()
    xx = cv2.sepFilter2D(picture, -1, second, smooth)
    yy = cv2.sepFilter2D(picture, -1, smooth, second)
    xy = cv2.sepFilter2D(picture, -1, first, first)
    angles = np.arange(4) * np.pi / 4
    return [
        (np.cos(a) ** 2 * xx + 2 * np.cos(a) * np.sin(a) * xy + np.sin(a) ** 2 * yy).astype(
            np.float32
        )
        for a in angles
    ]


def _autocorrelation(scaled: Array, deep: NDArray[np.bool_]) -> list[float]:
    values = []
    for one, other in (
        *((np.s_[:, k:], np.s_[:, :-k]) for k in (2, 4, 8)),
        *((np.s_[k:, :], np.s_[:-k, :]) for k in (2, 4, 8)),
    ):
        both = deep[one] & deep[other]
        values.append(float((scaled[one] * scaled[other])[both].mean()) if both.any() else 0.0)
    return values


def _gradients(picture: Array, deep: NDArray[np.bool_]) -> Array:
    """Histogram [12 magnitudes, 8 directions] of the gradient; magnitudes on a log scale."""
    across, down = (cv2.Sobel(picture, -1, dx, 1 - dx)[deep] for dx in (1, 0))
    strength = np.clip(np.log1p(np.hypot(across, down)), 0, 7)
    direction = np.arctan2(down, across) % np.pi
    counts, _, _ = np.histogram2d(strength, direction, bins=(12, 8), range=((0, 7), (0, np.pi)))
    return np.asarray(counts / counts.sum(), np.float32)


def _patches(picture: Array, deep: NDArray[np.bool_]) -> Array:
    """Quantiles [33, 64] of patches along fixed random directions.

    Each patch loses its mean and is brought to unit contrast: how strong strokes are is the other
    parts' business, and contrast is what a mere change of palette changes.
    """
    half = PATCH // 2
    rows, columns = np.nonzero(deep[half:-half, half:-half])
    if len(rows) > PATCHES:
        drawn = np.random.default_rng(1).choice(len(rows), PATCHES, replace=False)
        rows, columns = rows[drawn], columns[drawn]
    windows = np.lib.stride_tricks.sliding_window_view(picture, (PATCH, PATCH))
    patches = windows[rows, columns].reshape(len(rows), -1)
    patches = patches - patches.mean(1, keepdims=True)
    # 0.5: about what rounding to 8 bits leaves in a flat patch
    patches /= patches.std(1, keepdims=True) + 0.5
    quantiles = np.quantile(patches @ _directions(), np.linspace(0.01, 0.99, 33), axis=0)
    return np.asarray(quantiles, np.float32)


@cache
def _directions() -> Array:
    drawn = np.random.default_rng(0).normal(size=(PATCH * PATCH, 64))
    drawn -= drawn.mean(0)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0), np.float32)
