"""Spaces: what a photo's numbers mean, the way into the working space, and the way back.

The working space is sRGB: what the model, the measures, the selections and the training see.
Colours beyond it are clipped to it on the way in, and only there.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

from locstyle.photo import icc as profiles
from locstyle.photo.icc import SRGB_CURVE, SRGB_MATRIX, Matrixed
from locstyle.photo.png import Pixels

_STEPS = 52  # samples an axis of a profile that is a table: every fifth of 256 values
_ALIKE = 0.75 / 255  # nearer to sRGB than this, a conversion would only round
_FINE = 1 << 20
_ROUNDS = 60  # of the search for what a table of one direction only takes back


class Space(Protocol):
    """What numbers mean: colours in the working space, and the numbers that mean them."""

    def working(self, pixels: Pixels) -> Tensor:
        """Colours [3, h, w] float32 in [0, 1] in the working space of pixels [h, w, 1 or 3]."""
        ...

    def own(self, colours: Tensor) -> Tensor:
        """The numbers [3, h, w] float32 in [0, 1] of colours [3, h, w] in the working space."""
        ...


@dataclass(frozen=True, eq=False)
class ByMatrix:
    """The space of a profile of a matrix and curves, computed to float32's precision."""

    profile: Matrixed

    def working(self, pixels: Pixels) -> Tensor:
        steps = torch.linspace(0, 1, np.iinfo(pixels.dtype).max + 1, dtype=torch.float64)
        tables = [curve.light(steps).float().numpy() for curve in self.profile.curves]
        light = np.empty((3, *pixels.shape[:2]), np.float32)
        for found, plane, table in zip(light, _planes(pixels), tables, strict=True):
            found[:] = cv2.LUT(plane, table) if plane.dtype == np.uint8 else table.take(plane)
        way = np.linalg.inv(SRGB_MATRIX) @ self.profile.matrix
        nearest = _mixed(torch.from_numpy(light), way).mul_(_FINE - 1).add_(0.5).int()
        return self._srgb.index_select(0, nearest.flatten()).view(light.shape)

    @cached_property
    def _srgb(self) -> Tensor:
        """sRGB's values for light in equal steps, finer than 16 bits: quicker than a power."""
        return SRGB_CURVE.values(torch.linspace(0, 1, _FINE)).clamp_(0, 1)

    def own(self, colours: Tensor) -> Tensor:
        way = np.linalg.inv(self.profile.matrix) @ SRGB_MATRIX
        light = _mixed(SRGB_CURVE.light(colours), way)
        planes = [c.values(plane) for c, plane in zip(self.profile.curves, light, strict=True)]
        return torch.stack(planes).clamp_(0, 1)


@dataclass(frozen=True, eq=False)
class ByTable:
    """The space of any other profile for RGB, as littleCMS converts it.

    Pillow's littleCMS has 8 bits. Values between them, of 16-bit photos and on the way back, are
    looked up in a lattice that is linear between its nodes, so that nothing is banded.

    Attributes:
        direct: the conversion to sRGB at 8 bit.
        there, back: [3, n, n, n] float32 in [0, 1], by red, green, blue.
    """

    direct: ImageCms.ImageCmsTransform
    there: Tensor
    back: Tensor

    def working(self, pixels: Pixels) -> Tensor:
        planes = _planes(pixels)
        if pixels.dtype == np.uint8:
            codes = np.stack(planes, -1).astype(np.uint8)
            return _planar(ImageCms.applyTransform(Image.fromarray(codes), self.direct))
        return _looked_up(self.there, torch.from_numpy(np.stack(planes).astype(np.float32)) / 65535)

    def own(self, colours: Tensor) -> Tensor:
        return _looked_up(self.back, colours)


def space_of(icc: bytes | None, channels: int) -> Space | None:
    """The space of a picture's profile; None for sRGB, which none at all stands for too.

    Args:
        channels: of colour, 1 for grey and 3 for RGB.

    Raises:
        ValueError: a profile that cannot be used for such a picture.
    """
    if icc is None:
        return None
    profile = profiles.read(icc)
    kind = icc[16:20]
    if kind == b"GRAY" and channels != 1:
        raise ValueError("it is for grey, the picture has colours")
    if profile is not None:
        space: Space = ByMatrix(profile)
    elif kind == b"RGB ":
        space = _sampled(icc)
    else:
        raise ValueError(f"it is for {kind.decode('latin-1').strip()}, the picture is not")
    return None if _is_working(space) else space


def grey_as_rgb(icc: bytes) -> bytes | None:
    """A profile in which three equal numbers mean what one means in a profile for grey.

    None where that one is of a kind that cannot be said so, or is none for grey.
    """
    try:
        profile = profiles.read(icc) if icc[16:20] == b"GRAY" else None
    except ValueError:
        return None
    return None if profile is None else profiles.write("grey as RGB", profile)


def _is_working(space: Space) -> bool:
    ramp = np.arange(256).repeat(3)
    steps = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3), -1)
    codes = np.concatenate([ramp, steps.reshape(-1)]).astype(np.uint8).reshape(1, -1, 3)
    away = space.working(codes) - torch.from_numpy(codes / np.float32(255)).permute(2, 0, 1)
    return float(away.abs().max()) < _ALIKE


def _planes(pixels: Pixels) -> list[NDArray[np.integer[Any]]]:
    """Red, green and blue [h, w] of colours, each by itself in memory; grey three times."""
    planes: list[NDArray[np.integer[Any]]]
    planes = [np.ascontiguousarray(pixels[..., i]) for i in range(pixels.shape[2])]
    return planes if len(planes) == 3 else planes * 3


def _planar(image: Image.Image | None) -> Tensor:
    """An 8-bit picture as [3, h, w] in [0, 1]."""
    return torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1).contiguous()


def _mixed(planes: Tensor, way: NDArray[np.float64]) -> Tensor:
    """Light [3, h, w] by other primaries, kept in [0, 1]."""
    mixed = torch.from_numpy(way.astype(np.float32)) @ planes.flatten(1)
    return mixed.clamp_(0, 1).view(planes.shape)


def _looked_up(lattice: Tensor, planes: Tensor) -> Tensor:
    """The lattice [3, n, n, n] at values [3, h, w] in [0, 1], linear between its nodes."""
    # The last axis of the lattice comes first in a place.
    places = planes.flip(0).permute(1, 2, 0)[None, None] * 2 - 1
    found = F.grid_sample(lattice[None], places, padding_mode="border", align_corners=True)
    return found[0, :, 0].clamp_(0, 1)


def _sampled(icc: bytes) -> ByTable:
    srgb = ImageCms.createProfile("sRGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        direct = converter(profile, srgb)
        there = _lattice(direct)
    except (ImageCms.PyCMSError, OSError) as error:
        raise ValueError(str(error)) from error
    try:
        back = _lattice(converter(srgb, profile))
    except ImageCms.PyCMSError:  # scanners' profiles say one direction only
        back = _inverted(there[:, ::3, ::3, ::3])
    return ByTable(direct, there, back)


def converter(source: Any, target: Any, mode: str = "RGB") -> ImageCms.ImageCmsTransform:
    """littleCMS's conversion of colours of `mode` to RGB: as measured, black to black.

    Raises:
        PyCMSError: a profile that has no such direction, or is for other colours.
    """
    # Any: Pillow's types leave out the profile that its own createProfile returns.
    return ImageCms.buildTransform(
        source,
        target,
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _lattice(way: ImageCms.ImageCmsTransform) -> Tensor:
    nodes = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    codes = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), -1)
    flat = Image.fromarray(codes.reshape(_STEPS, -1, 3))
    return _planar(ImageCms.applyTransform(flat, way)).view(3, _STEPS, _STEPS, _STEPS)


def _inverted(there: Tensor) -> Tensor:
    """The lattice that undoes one, searched for at every node; the nearest where nothing fits."""
    axis = torch.linspace(0, 1, there.shape[1])
    wanted = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).flatten(2)
    guess, best = wanted, torch.full_like(wanted[0], torch.inf)
    found = wanted
    for _ in range(_ROUNDS):
        missing = wanted - _looked_up(there, guess)
        away = missing.square().sum(0)
        found = torch.where(away < best, guess, found)
        best = torch.minimum(best, away)
        guess = (guess + 0.7 * missing).clamp(0, 1)
    return found.view(there.shape)
