"""What masks are made of: pictures read as shares in [0, 1], and edges softened. Arrays only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import ceil, pi
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

_BAND = 256  # rows read at once, to bound memory
_SOFTENED = 64  # rows softened at once: even ones are passed over
_NEAR = 16  # columns

_LUMINANCE = np.array([299, 587, 114])  # thousandths, ITU-R BT.601


def values_of(image: Picture, where: str) -> NDArray[np.float32] | NDArray[np.bool_]:
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
        array = _array(image, where)
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
    full = _full(array, where)
    if array.dtype == bool and array.shape[2] == 1:
        return array[..., 0].copy()
    return _luminance(array, full)


def _array(tensor: Tensor, where: str) -> NDArray[Any]:
    try:
        plain = tensor.detach().cpu()
        return (plain.float() if plain.is_floating_point() else plain).numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:  # sparse, on "meta", …
        raise MaskError(f"{where}: a tensor that holds no plain numbers: {error}") from error


def _full(array: NDArray[Any], where: str) -> float:
    """What counts as 1, in an array that may be a mask."""
    if array.dtype.kind not in "biuf":
        raise MaskError(
            f"{where}: an array of {array.dtype}; give booleans, uint8, uint16 or floats"
        )
    if array.size == 0 or array.dtype == bool:
        return 1.0
    lowest, highest = array.min(), array.max()
    if array.dtype in (np.uint8, np.uint16):
        if highest == 1:
            raise MaskError(
                f"{where}: the brightest value is 1 of {np.iinfo(array.dtype).max}, almost black; "
                "use booleans, or 255 for white"
            )
        return float(np.iinfo(array.dtype).max)
    if array.dtype.kind in "iu":
        if lowest >= 0 and highest <= 1:  # a comparison times 1: of this type, only that is a mask
            return 1.0
        raise MaskError(
            f"{where}: an array of {array.dtype} with values from {lowest} to {highest}; give "
            "booleans, uint8, uint16 or floats"
        )
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise MaskError(f"{where}: {count} values are not finite; masks lie in [0, 1]")
    if lowest < 0 or highest > 1:
        raise MaskError(
            f"{where}: values from {lowest:g} to {highest:g}; masks of floats lie in [0, 1]"
        )
    return 1.0


def _luminance(array: NDArray[Any], full: float) -> NDArray[np.float32]:
    """An array [H, W, 1-4] -> shares [H, W]; alpha as `Mask.from_image` says."""
    result = np.empty(array.shape[:2], np.float32)
    reads_grey, reads_alpha = _reads(array)
    for top in range(0, len(array), _BAND):
        shares = array[top : top + _BAND] / full
        grey = _grey(shares) if reads_grey else np.ones(())
        result[top : top + _BAND] = grey * shares[..., -1] if reads_alpha else grey
    return result


def _reads(array: NDArray[Any]) -> tuple[bool, bool]:
    """Whether the colours of an array say what is inside, and whether its alpha does."""
    alpha, colours = array[..., -1], _colours(array)
    if array.shape[2] in (1, 3) or array.size == 0 or alpha.min() == alpha.max():
        return True, False
    row, column = np.unravel_index(int((alpha > 0).argmax()), alpha.shape)
    is_plain = all(
        ((colours[rows] == colours[row, column]).all(-1) | (alpha[rows] == 0)).all()
        for rows in (slice(top, top + _BAND) for top in range(0, len(array), _BAND))
    )
    return not is_plain, True


def _grey(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    colours = _colours(shares)
    if colours.shape[2] == 1:
        return colours[..., 0]
    grey = (colours * _LUMINANCE).sum(-1) / 1000
    # The weighted sum of three equal values may miss them by a rounding error.
    return np.where((colours == colours[..., :1]).all(-1), colours[..., 0], grey)


def _colours(array: NDArray[Any]) -> NDArray[Any]:
    return array[..., :3] if array.shape[2] >= 3 else array[..., :1]


def soften(values: NDArray[np.float32], pixels: float) -> NDArray[np.float32]:
    """Values [h, w] averaged with a raised-cosine window reaching ceil(pixels) to each side.

    Beyond the array lies what its border has. Only what is not even is looked at, a band at a time.
    """
    reach = ceil(pixels)
    if reach == 0:
        return values
    window = 1 + np.cos(pi * np.arange(-reach, reach + 1) / (pixels + 1))
    result = values.copy()
    step = max(_SOFTENED, reach)
    for top in range(0, len(values), step):
        rows = slice(max(0, top - reach), top + step + reach)
        inner = slice(top - rows.start, top - rows.start + step)
        for columns in _uneven(values[rows], reach):
            wide = slice(max(0, columns.start - reach), columns.stop + reach)
            own = slice(columns.start - wide.start, columns.stop - wide.start)
            result[top : top + step, columns] = _filtered(values[rows, wide], window)[inner, own]
    return result


def _filtered(values: NDArray[np.float32], window: NDArray[np.float64]) -> NDArray[np.float64]:
    # Two passes of a finite window: what lies beyond its reach stays exactly 0, as no FFT would.
    soft: NDArray[np.float64] = cv2.sepFilter2D(
        values.astype(np.float64), -1, window, window, borderType=cv2.BORDER_REPLICATE
    )
    soft /= window.sum() ** 2
    soft[soft > 1 - 1e-9] = 1  # all of the window inside: 1 but for rounding
    return soft


def _uneven(values: NDArray[np.float32], reach: int) -> Iterator[slice]:
    """Runs of columns that have anything but one value within `reach`."""
    lowest = values.min(0)
    turns = lowest != values.max(0)
    steps = lowest[1:] != lowest[:-1]
    turns[1:] |= steps
    turns[:-1] |= steps
    # What lies near anyway is one run: few large pieces cost less than many small ones.
    counts = np.concatenate([[0], turns.cumsum()])
    at, near = np.arange(len(turns)), reach + _NEAR
    is_near = counts[np.minimum(at + near + 1, len(turns))] > counts[np.maximum(at - near, 0)]
    edges = np.flatnonzero(np.diff(is_near, prepend=False, append=False))
    return (slice(*edge) for edge in edges.reshape(-1, 2).tolist())


def grey(values: Tensor) -> NDArray[np.uint8]:
    """Shares in [0, 1] as grey or colour values, 255 for 1."""
    return (values.float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def png(image: Image.Image) -> bytes:
    """A small picture of a picture, as notebooks show it."""
    buffer = io.BytesIO()
    image.thumbnail((768, 768))
    image.save(buffer, "PNG")
    return buffer.getvalue()
