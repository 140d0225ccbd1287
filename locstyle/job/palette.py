"""Palette: how much of a region's colours are the photo's own, and how much the style's.

The photo's end keeps what was drawn and takes the photo's hue and colourfulness at every pixel
(Gatys et al., arXiv:1606.05897 section 3.2, in Lab). The style's end moves the region's mean and
covariance in Lab to those of the style's picture by the linear map that moves colours least (Pitié
and Kokaram, CVMP 2007). In between lie straight lines in Lab.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstyle.edit import Edit, checks
from locstyle.errors import RecipeError, StyleError, shown
from locstyle.job.texts import acting_styles

if TYPE_CHECKING:
    from locstyle.edit import Region
    from locstyle.style import Style

Colours = NDArray[np.float32]
"""Lab colours [..., 3]."""

_SAMPLES = 1 << 18  # pixels whose colours are counted, evenly spread
_BAND = 256  # rows changed at once
_GAIN = 3.0  # most that the map may stretch colours apart: beyond, it enlarges noise
_LEAST = 0.1  # added to covariances, Lab units squared: flat regions have a map, too


class Spread(NamedTuple):
    """Mean [3] and covariance [3, 3] of colours in Lab."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, colours: Colours, weights: NDArray[np.float32]) -> Spread:
        """Of colours [n, 3], each counted by its weight [n]."""
        exact = colours.astype(np.float64)
        mean = np.asarray(np.average(exact, axis=0, weights=weights), np.float64)
        covariance = np.cov(exact.T, aweights=weights, bias=True)
        return cls(mean, covariance + _LEAST * np.eye(3))


@dataclass(frozen=True)
class Palette:
    """What a region's colours should be: `share` of the style's, in [0, 1], the rest the photo's.

    `style` is None where nobody knows the style's colours: those that were drawn stand for them.
    """

    share: float
    style: Spread | None = None


def settled_palettes(edit: Edit, styles: Sequence[Sequence[Style]]) -> Edit:
    """The edit with a palette for every region: its own, else the edit's, else its style's."""
    regions = tuple(
        replace(region, palette=_settled(edit, region, own))
        for region, own in zip(edit.regions, styles, strict=True)
    )
    return replace(edit, regions=regions)


def palettes_of(edit: Edit, styles: Sequence[Sequence[Style]]) -> tuple[Palette | None, ...]:
    """What is asked of the colours of each region of a settled edit; None leaves them as drawn."""
    return tuple(
        Palette(region.palette, _spread(edit, region, own) if region.palette else None)
        if isinstance(region.palette, float)
        else None
        for region, own in zip(edit.regions, styles, strict=True)
    )


def recoloured(
    picture: Tensor, photo: Tensor, shares: Tensor, palettes: Sequence[Palette | None]
) -> Tensor:
    """A drawn picture with every region's colours as its palette asks, [3, h, w] in [0, 1].

    Args:
        picture, photo: [3, h, w] in [0, 1], of the same place.
        shares: [regions, h, w], how much of each pixel a region owns; they sum to at most 1.
        palettes: by region; None leaves its colours as they are.
    """
    asked = [
        (palette, shares[index], _moves(picture, shares[index], palette))
        for index, palette in enumerate(palettes)
        if palette is not None and bool(shares[index].any())
    ]
    if not asked:
        return picture
    owned = torch.stack([share for _, share, _ in asked]).sum(0) > 0
    out = picture.clone()
    for top in range(0, picture.shape[1], _BAND):
        rows = slice(top, top + _BAND)
        drawn, own = _lab(picture[:, rows]), _lab(photo[:, rows])
        moved = drawn.copy()
        for palette, share, (matrix, shift) in asked:
            target = drawn @ matrix + shift if palette.style else drawn
            kept = np.concatenate([drawn[..., :1], own[..., 1:]], axis=-1)
            target = (1 - palette.share) * kept + palette.share * target
            moved += share[rows].numpy()[..., None] * (target - drawn)
        out[:, rows] = torch.where(owned[rows], _rgb(moved), picture[:, rows])
    return out


def _settled(edit: Edit, region: Region, styles: Sequence[Style]) -> float | str:
    asked = edit.palette if region.palette is None else region.palette
    if asked is not None:
        return asked
    saying = [
        (one.strength, style)
        for _, one, style in acting_styles(edit, region, styles)
        if "palette" in style.meta
    ]
    return _own(max(saying, key=lambda pair: pair[0])[1]) if saying else "drawn"


def _own(style: Style) -> float | str:
    """What a style's file says of its colours; a word there that means nothing is refused."""
    said = style.meta["palette"]
    with suppress(ValueError, RecipeError):
        return checks.palette(said if said == "drawn" else float(said), "palette")
    raise StyleError(
        f"style {style.name!r}: its header says palette {shown(said)}; set one in the region: "
        f"{checks.PALETTES}"
    )


def _spread(edit: Edit, region: Region, styles: Sequence[Style]) -> Spread | None:
    """The colours of the pictures that a region's styles were made from, as far as they are known,
    each style by its strength."""
    colours, weights = [], []
    for _, one, style in acting_styles(edit, region, styles):
        if (preview := style.preview) is not None:
            found = _lab(torch.from_numpy(np.array(preview)).permute(2, 0, 1) / 255).reshape(-1, 3)
            colours.append(found)
            weights.append(np.full(len(found), one.strength / len(found), np.float32))
    return Spread.of(np.concatenate(colours), np.concatenate(weights)) if colours else None


def _moves(picture: Tensor, share: Tensor, palette: Palette) -> tuple[Colours, Colours]:
    """The map of a region's drawn colours to the style's: `colours @ matrix + shift`."""
    if palette.style is None:
        return np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    step = max(1, round((share.numel() / _SAMPLES) ** 0.5))
    weights = share[::step, ::step].reshape(-1).numpy()
    if not weights.any():
        step, weights = 1, share.reshape(-1).numpy()
    drawn = Spread.of(_lab(picture[:, ::step, ::step]).reshape(-1, 3), weights)
    matrix = _monge(drawn.covariance, palette.style.covariance)
    shift = palette.style.mean - drawn.mean @ matrix
    return matrix.astype(np.float32), shift.astype(np.float32)


def _monge(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric matrix that gives colours of one covariance another, moving them least."""
    root, inverse = _power(start, 0.5), _power(start, -0.5)
    return _power(inverse @ _power(root @ end @ root, 0.5) @ inverse, 1.0, most=_GAIN)


def _power(
    matrix: NDArray[np.float64], exponent: float, most: float = np.inf
) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    powers = np.minimum(np.maximum(values, 1e-6) ** exponent, most)
    return np.asarray((vectors * powers) @ vectors.T)


def _lab(picture: Tensor) -> Colours:
    """[3, h, w] in [0, 1] as Lab [h, w, 3]."""
    import cv2

    rgb = np.ascontiguousarray(picture.permute(1, 2, 0).float().numpy())
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), np.float32)


def _rgb(colours: Colours) -> Tensor:
    import cv2

    rgb = cv2.cvtColor(np.ascontiguousarray(colours, np.float32), cv2.COLOR_Lab2RGB)
    return torch.from_numpy(np.asarray(rgb)).permute(2, 0, 1).clamp(0, 1)
