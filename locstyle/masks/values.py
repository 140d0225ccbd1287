"""What masks are made of: pictures read as shares in [0, 1], and edges softened. Arrays only."""

from __future__ import annotations

from math import ceil, isfinite, pi
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from locstyle.errors import MaskError, PhotoError
from locstyle.photo import Photo

Picture = Image.Image | NDArray[Any] | Tensor

_LUMINANCE = np.array([299, 587, 114])  # thousandths, ITU-R BT.601


def values_of(image: Picture, where: str) -> NDArray[np.floating[Any]]:
    """A picture or array as shares [H, W] in [0, 1]; see `Mask.from_image`.

    Raises:
        MaskError: not finite, out of range, or of a shape or type that is no mask.
    """
    if isinstance(image, Image.Image):
        try:
            array: NDArray[Any] = Photo.from_image(image).pixels
        except PhotoError as error:
            raise MaskError(f"{where}: {error}") from error
    elif isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
        array = array[0] if array.ndim == 3 and len(array) == 1 else array
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise MaskError(
            f"{where}: a {type(image).__name__} is no mask; give a selection or a picture"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise MaskError(f"{where}: an array of shape {array.shape}; give [H, W] or [H, W, 1-4]")
    return _luminance(_shares(array, where))


def _shares(array: NDArray[Any], where: str) -> NDArray[np.float64]:
    if array.size == 0 or array.dtype == bool:
        return array.astype(np.float64)
    lowest, highest = array.min(), array.max()
    if array.dtype in (np.uint8, np.uint16):
        if highest == 1:
            raise MaskError(
                f"{where}: the brightest value is 1 of {np.iinfo(array.dtype).max}, almost black; "
                "use booleans, or 255 for white"
            )
        return array / float(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise MaskError(
            f"{where}: an array of {array.dtype}; give booleans, uint8, uint16 or floats"
        )
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise MaskError(f"{where}: {count} values are not finite; masks lie in [0, 1]")
    if lowest < 0 or highest > 1:
        raise MaskError(
            f"{where}: values from {lowest:g} to {highest:g}; masks of floats lie in [0, 1]"
        )
    return array.astype(np.float64)


def _luminance(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares [H, W, 1-4] -> [H, W]; alpha as `Mask.from_image` says."""
    channels = shares.shape[2]
    colours = shares[..., :3] if channels >= 3 else shares[..., :1]
    grey = (colours * _LUMINANCE).sum(-1) / 1000 if channels >= 3 else colours[..., 0]
    # The weighted sum of three equal values may miss them by a rounding error.
    grey = np.where((colours == colours[..., :1]).all(-1), colours[..., 0], grey)
    alpha = shares[..., -1]
    if channels in (1, 3) or shares.size == 0 or alpha.min() == alpha.max():
        return grey
    visible = colours[alpha > 0]
    return alpha if bool((visible == visible[0]).all()) else grey * alpha


def soften(values: Tensor, pixels: float) -> Tensor:
    """Values [H, W] averaged with a raised-cosine window reaching ceil(pixels) to each side."""
    longest = max(values.shape)
    if not isfinite(pixels) or not 0 <= pixels <= longest:
        raise MaskError(f"feather: got {pixels!r}; give 0 to {longest} pixels, the longer side")
    reach = ceil(pixels)
    rows, columns = _reached(values, reach)
    if reach == 0 or rows.stop == 0:
        return values
    distance = np.arange(-reach, reach + 1)
    window = 1 + np.cos(pi * distance / (pixels + 1))
    patch = values[rows, columns].numpy().astype(np.float64)
    # Two passes of a finite window: what lies beyond its reach stays exactly 0, as no FFT would.
    soft = cv2.sepFilter2D(patch, -1, window, window, borderType=cv2.BORDER_REPLICATE)
    soft = soft / window.sum() ** 2
    soft[soft > 1 - 1e-9] = 1  # all of the window inside: 1 but for rounding
    result = torch.zeros_like(values)
    result[rows, columns] = torch.from_numpy(soft).float()
    return result


def _reached(values: Tensor, reach: int) -> tuple[slice, slice]:
    """Rows and columns within `reach` of anything not 0: the rest need not be computed."""
    x0, y0, x1, y1 = bounds(values)
    if x1 == 0:
        return slice(0, 0), slice(0, 0)
    height, width = values.shape
    rows = slice(max(0, y0 - reach), min(height, y1 + reach))
    return rows, slice(max(0, x0 - reach), min(width, x1 + reach))


def bounds(values: Tensor) -> tuple[int, int, int, int]:
    """The smallest (x0, y0, x1, y1) around all that is not 0, x1 and y1 exclusive; else zeros."""
    touched = values > 0
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
