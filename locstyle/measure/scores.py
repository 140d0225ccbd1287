"""Weights-free measures of an edit: what was kept, what was restyled, what shows at the border.

Pictures are numpy arrays [H, W, 3], RGB: uint8, uint16, or float in [0, 1]. Masks are [H, W], bool
or float in [0, 1]. Style is two numbers and never one: colour, which any recolouring can win, and
texture, read beside the recolour baseline. Every function is deterministic.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity

from locstyle.errors import MaskError
from locstyle.measure.texture import Array, Texture, between, describe, hellinger

Picture: TypeAlias = NDArray[np.generic]
Area: TypeAlias = NDArray[np.generic] | None  # None: the whole picture


def psnr(one: Picture, other: Picture, mask: Area = None) -> float:
    """Peak signal to noise ratio inside the mask, in dB; inf for equal pictures."""
    first, second = unit(one), unit(other)
    weight = weight_of(mask, first)
    error = float((((first - second) ** 2).mean(2) * weight).sum() / weight.sum())
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim_luminance(one: Picture, other: Picture, mask: Area = None) -> float:
    """Mean structural similarity of Lab lightness inside the mask; in [-1, 1], 1 for equal.

    Gaussian windows of sigma 1.5, as in Wang et al., IEEE TIP 2004. Windows reach 5 pixels across
    the mask's border. nan for pictures of fewer than 11 pixels a side.
    """
    first, second = _lightness(one), _lightness(other)
    weight = weight_of(mask, first)
    if min(first.shape) < 11:
        return float("nan")
    _, similarity = structural_similarity(
        first,
        second,
        data_range=100.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float((similarity * weight).sum() / weight.sum())


def identical_share(one: Picture, other: Picture, where: Area = None) -> float:
    """Share of the pixels that are equal in every channel, bit for bit; in [0, 1].

    Takes any number of channels and any one dtype. Of a float `where` only the pixels that are
    exactly 1 count, so that `1 - paste weight` names the pixels nobody promised to touch.
    """
    if one.shape != other.shape or one.dtype != other.dtype:
        raise ValueError(
            f"identical_share: got {one.dtype} {one.shape} and {other.dtype} {other.shape}; "
            "give two pictures of one size and depth"
        )
    same = (one == other).reshape(*one.shape[:2], -1).all(-1)
    return float(same[weight_of(where, one) == 1].mean())


def colour_distance(
    one: Picture, other: Picture, mask: Area = None, other_mask: Area = None
) -> float:
    """Hellinger distance of two Lab histograms, 8 bins an axis; in [0, 1], symmetric.

    `other_mask` belongs to `other`, whose size may differ; None means `mask` where the sizes are
    equal and the whole of `other` where they are not. So in every function here that takes both.
    """
    mask, other_mask = _areas(one, other, mask, other_mask)
    return hellinger(_colours(one, mask), _colours(other, other_mask))


def texture_distance(
    one: Picture, other: Picture, mask: Area = None, other_mask: Area = None
) -> float:
    """Distance of two textures, symmetric; 0 for equal, 1 the mean of two different paintings.

    Mean of `texture_parts`. nan where too little of a mask is far enough inside (`texture`).
    """
    return texture_parts(one, other, mask, other_mask).total


def texture_parts(
    one: Picture, other: Picture, mask: Area = None, other_mask: Area = None
) -> Texture:
    """The texture distance by part: oriented bands, gradients, patches."""
    mask, other_mask = _areas(one, other, mask, other_mask)
    first, second = _lightness(one), _lightness(other)
    return between(
        describe(first, weight_of(mask, first)), describe(second, weight_of(other_mask, second))
    )


def recolour(
    picture: Picture, target: Picture, mask: Area = None, target_mask: Area = None
) -> Array:
    """The picture with each channel's histogram inside the mask taken from the target's.

    The baseline that any claim of style must beat. Returns float [H, W, 3] in [0, 1], unchanged
    outside the mask.
    """
    mask, target_mask = _areas(picture, target, mask, target_mask)
    source, wanted = unit(picture), unit(target)
    inside = weight_of(mask, source) > 0.5
    palette = np.sort(wanted[weight_of(target_mask, wanted) > 0.5], axis=0)
    result = source.copy()
    count = int(inside.sum())
    ranks = (np.arange(count) + 0.5) / max(count, 1)
    levels = (np.arange(len(palette)) + 0.5) / max(len(palette), 1)
    for channel in range(3):
        # stable: equal values keep the picture's order, so the result is one and the same
        order = np.argsort(source[inside][:, channel], kind="stable")
        values = np.empty(count, np.float32)
        values[order] = np.interp(ranks, levels, palette[:, channel])
        result[inside, channel] = values
    return result


def beyond_recolour(
    output: Picture,
    picture: Picture,
    target: Picture,
    mask: Area = None,
    target_mask: Area = None,
) -> float:
    """Share of the texture gap closed beyond what recolouring the input picture closes.

    1 - d(output, target) / d(recoloured picture, target): 1 has the target's texture, 0 is no
    better than recolouring, below 0 is worse. nan where `texture_distance` is.
    """
    baseline = recolour(picture, target, mask, target_mask)
    gap = texture_distance(baseline, target, mask, target_mask)
    left = texture_distance(output, target, mask, target_mask)
    return float("nan") if gap == 0 else 1 - left / gap


def edge_agreement(one: Picture, other: Picture, mask: Area = None) -> float:
    """Cosine between the double-angle gradient fields of lightness; in [-1, 1], symmetric.

    1 where edges run the same way in both, 0 for unrelated pictures; blind to contrast sign and to
    contrast as a whole. nan where either picture is flat.
    """
    first, second = _edges(_lightness(one)), _edges(_lightness(other))
    weight = weight_of(mask, first)[..., None]
    norm = np.sqrt((first**2 * weight).sum() * (second**2 * weight).sum())
    return float("nan") if norm == 0 else float((first * second * weight).sum() / norm)


def seam_index(output: Picture, picture: Picture, mask: Area, *, width: int = 2) -> float:
    """Contrast across the mask's border relative to both sides of it, and to the input picture's.

    Energy of the lightness gradient along the border's normal on a ring of ±`width` pixels, over
    the mean of the next rings inside and outside; the same for the input; their ratio. 1 is no
    more of a border than the photo had, 4 twice its contrast. nan without a border or rings.
    """
    inside = (weight_of(mask, output) > 0.5).astype(np.uint8)
    if inside.all():
        return float("nan")
    # signed distance to the border, in pixels: -0.5 and +0.5 for the pixels touching it
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5).astype(np.float32) - 0.5
    outwards = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5).astype(np.float32) - 0.5
    distance = np.where(inside > 0, distance, -outwards)
    return _border(output, distance, width) / _border(picture, distance, width)


def _border(picture: Picture, distance: Array, width: int) -> float:
    lightness = _lightness(picture)
    normal = [cv2.Sobel(distance, -1, dx, 1 - dx) for dx in (1, 0)]
    slope = [cv2.Sobel(lightness, -1, dx, 1 - dx) / 8 for dx in (1, 0)]
    length = np.hypot(*normal) + 1e-6
    energy = ((slope[0] * normal[0] + slope[1] * normal[1]) / length) ** 2
    rings = [
        np.abs(distance) <= width,
        (distance > width) & (distance <= 3 * width),
        (distance < -width) & (distance >= -3 * width),
    ]
    if not all(ring.any() for ring in rings):
        return float("nan")
    # 0.02: the energy of 8-bit rounding, so that two flat sides do not divide by nothing
    ring, inner, outer = (float(energy[ring].mean()) + 0.02 for ring in rings)
    return ring / ((inner + outer) / 2)


def unit(picture: Picture) -> Array:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"picture: got shape {picture.shape}; give RGB as [H, W, 3]")
    depth = {"uint8": 255, "uint16": 65535}.get(picture.dtype.name, 1)
    return np.asarray(picture, np.float32) / np.float32(depth)


def _lightness(picture: Picture) -> Array:
    return np.ascontiguousarray(rgb2lab(np.clip(unit(picture), 0, 1))[..., 0], np.float32)


def weight_of(mask: Area, picture: NDArray[np.generic]) -> Array:
    if mask is None:
        return np.ones(picture.shape[:2], np.float32)
    if mask.shape != picture.shape[:2]:
        raise MaskError(
            f"mask: got size {mask.shape} for a picture of {picture.shape[:2]}; "
            "give a mask of the picture's size"
        )
    weight = mask.astype(np.float32)
    if not np.isfinite(weight).all() or weight.max(initial=0) <= 0.5:
        raise MaskError("mask: nothing is inside; give a mask with values above 0.5")
    return weight


def _areas(one: Picture, other: Picture, mask: Area, other_mask: Area) -> tuple[Area, Area]:
    if other_mask is None and one.shape == other.shape:
        other_mask = mask
    return mask, other_mask


def _colours(picture: Picture, mask: Area) -> Array:
    lab = rgb2lab(np.clip(unit(picture), 0, 1)).reshape(-1, 3)
    counts, _ = np.histogramdd(
        np.clip(lab, (0, -80, -80), (100, 80, 80)),
        bins=(8, 8, 8),
        range=((0, 100), (-80, 80), (-80, 80)),
        weights=weight_of(mask, picture).ravel(),
    )
    return np.asarray(counts / counts.sum(), np.float32)


def _edges(lightness: Array) -> Array:
    """Gradients with doubled angle [H, W, 2], smoothed: the structure tensor less its trace."""
    across, down = (cv2.Sobel(lightness, -1, dx, 1 - dx) for dx in (1, 0))
    strength = np.hypot(across, down) + 1e-6
    double = np.stack([across**2 - down**2, 2 * across * down], -1) / strength[..., None]
    return np.asarray(cv2.GaussianBlur(double, (0, 0), 1.5), np.float32)
