"""Masks by colour and by light: what looks alike, wherever it is in the photo."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError
from locstyle.masks.mask import Mask
from locstyle.photo import Photo

_BAND = 512  # rows converted at once, to bound memory


def colour_range(
    photo: Photo,
    like: str | tuple[float, float],
    tolerance: float = 20.0,
    *,
    where: str = "mask",
) -> Mask:
    """The pixels that look like a colour, or like the photo at a point.

    Args:
        like: "#rrggbb", or (x, y): the mean of 3 × 3 pixels there.
        tolerance: the largest distance in CIELAB (ΔE 1976): 2 is hardly seen, 100 black to white.

    Raises:
        MaskError: no such colour, a point outside the photo, or nothing is that alike; says how
            near the nearest pixel comes.
    """
    target = _lab_of(like, photo, where)
    away = np.concatenate([np.linalg.norm(lab - target, axis=-1) for lab in _lab(photo)])
    inside = away <= tolerance
    if not inside.any():
        spoken = like if isinstance(like, str) else f"{like[0]:g},{like[1]:g}"
        raise MaskError(
            f"{where}: no pixel lies within {tolerance:g} of {spoken}; the nearest is "
            f"{away.min():.1f} away"
        )
    return Mask.from_image(inside, where=where)


def luminance_range(photo: Photo, low: float, high: float, *, where: str = "mask") -> Mask:
    """The pixels whose lightness (CIELAB L*, as a share: 0 black, 1 white) lies in [low, high].

    Raises:
        MaskError: an empty range, or nothing lies in it; says what the photo has.
    """
    if not low <= high:
        raise MaskError(f"{where}: light from {low:g} to {high:g} is no range; give low, then high")
    light = np.concatenate([lab[..., 0] / 100 for lab in _lab(photo)])
    inside = (light >= low - 1e-4) & (light <= high + 1e-4)  # white comes out as 0.99999
    if not inside.any():
        raise MaskError(
            f"{where}: no pixel is as light as {low:g} to {high:g}; the photo has "
            f"{light.min():.2f} to {light.max():.2f}"
        )
    return Mask.from_image(inside, where=where)


def _lab_of(like: str | tuple[float, float], photo: Photo, where: str) -> NDArray[np.float32]:
    if isinstance(like, str):
        digits = like.removeprefix("#")
        try:
            colour = np.frombuffer(bytes.fromhex(digits), np.uint8)
        except ValueError:
            colour = np.empty(0, np.uint8)
        if len(colour) != 3 or len(digits) != 6:
            raise MaskError(f"{where}: {like!r} is no colour; give #rrggbb or a point x,y")
        shares = colour.reshape(3, 1, 1).astype(np.float32) / np.float32(255)
        exact: NDArray[np.float32] = _lab_of_colours(shares)[0, 0]
        return exact
    (x, y), (height, width) = like, photo.size
    if not (0 <= x < width and 0 <= y < height):
        raise MaskError(
            f"{where}: point {x:g},{y:g} lies outside the photo of {width} × {height} "
            f"(width × height); x lies in 0-{width}, y in 0-{height}"
        )
    row, column = int(y), int(x)
    rows, columns = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
    around = _lab_of_colours(photo.working(rows, columns).numpy())
    mean: NDArray[np.float32] = around.reshape(-1, 3).mean(0)
    return mean


def _lab(photo: Photo) -> Iterator[NDArray[np.float32]]:
    """Bands of rows as CIELAB [h, W, 3], L* in 0-100."""
    for top in range(0, photo.size[0], _BAND):
        yield _lab_of_colours(photo.working(slice(top, top + _BAND)).numpy())


def _lab_of_colours(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours [3, h, w] of the working space as CIELAB [h, w, 3]."""
    lab: NDArray[np.float32] = cv2.cvtColor(
        np.ascontiguousarray(colours.transpose(1, 2, 0)), cv2.COLOR_RGB2Lab
    )
    return lab
