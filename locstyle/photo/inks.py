"""Colours that no Photo holds, CMYK and Lab, converted to sRGB as a file is read."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from locstyle.photo.colour import converter
from locstyle.photo.icc import SRGB_CURVE, SRGB_MATRIX

CMYK = "CMYK colours, converted to sRGB by the file's profile; the result is RGB"
CMYK_BARE = (
    "CMYK colours without a profile that can be used, converted to sRGB by rule of thumb; for true "
    "colours convert it in an image editor"
)
LAB = "Lab colours, converted to sRGB at 16 bit; the result is RGB"

_WHITE = (0.9642, 1.0, 0.8249)  # D50, which print and Photoshop mean
_BAND = 256  # rows converted at once, to bound memory


def from_cmyk(image: Image.Image, icc: bytes | None) -> tuple[NDArray[np.uint8], str]:
    """sRGB [H, W, 3] of a CMYK image, and what to say about it."""
    if icc is not None and icc[16:20] == b"CMYK":
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            way = converter(profile, ImageCms.createProfile("sRGB"), "CMYK")
            found = ImageCms.applyTransform(image, way)
            if found is not None:
                return np.array(found), CMYK
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile is no profile, and is said to be none
    return np.array(image.convert("RGB")), CMYK_BARE


def from_lab(lab: NDArray[np.float32]) -> NDArray[np.uint16]:
    """sRGB [H, W, 3] at 16 bit of Lab [H, W, 3], L* in 0-100 (CIE 15); clipped to it."""
    pixels = np.empty(lab.shape, np.uint16)
    way = np.linalg.inv(SRGB_MATRIX) @ np.diag(_WHITE)
    for top in range(0, len(lab), _BAND):
        lightness, a, b = np.moveaxis(lab[top : top + _BAND], -1, 0)
        y = (lightness + 16) / 116
        cubes = np.stack([y + a / 500, y, y - b / 200], -1)
        light = np.where(cubes > 6 / 29, cubes**3, (cubes - 4 / 29) * 3 * (6 / 29) ** 2)
        linear = torch.from_numpy((light @ way.T).clip(0, 1))
        pixels[top : top + _BAND] = (SRGB_CURVE.values(linear) * 65535).round().clip(0, 65535)
    return pixels
