"""Tone: where a palette lets a region's latent begin, by the pictures its styles were made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from locstyle.job.texts import acting_styles
from locstyle.photo.canvas import resize

if TYPE_CHECKING:
    from locstyle.edit import Edit, Region
    from locstyle.engine.backbone import Backbone
    from locstyle.style import Style

_SIDE = 256  # pixels of the picture as it is encoded, at most: only its mean is wanted
_FULL = 0.5  # the palette from where the tone is all the style's: its ground goes with its colours


class Tone(NamedTuple):
    """The mean of a clean latent [1, channels, 1, 1], and how much of the way there is asked."""

    mean: Tensor
    share: float


def tone_of(backbone: Backbone, edit: Edit, region: Region, styles: Sequence[Style]) -> Tone | None:
    """The tone that a settled region's palette asks for, by the styles that act from the start;
    None: its own, or nobody knows theirs."""
    if not isinstance(region.palette, float) or not region.palette:
        return None
    strengths, means = [], []
    for _, one, style in acting_styles(edit, region, styles):
        if one.window[0] == 0 and (preview := style.preview) is not None:
            rgb = torch.from_numpy(np.array(preview.convert("RGB"))).permute(2, 0, 1) / 255
            side = min(backbone.native, max(_SIDE, backbone.multiple))
            side = side // backbone.multiple * backbone.multiple
            latent = backbone.encode(resize(rgb, (side, side))[None])
            strengths.append(one.strength)
            means.append(latent.mean((-2, -1), keepdim=True))
    if not means:
        return None
    total = sum(strengths)
    mean = torch.stack([s / total * m for s, m in zip(strengths, means, strict=True)]).sum(0)
    return Tone(mean, min(1.0, region.palette / _FULL))
