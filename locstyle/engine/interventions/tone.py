"""The start of an edit in the tone of reference pictures, or of what a palette asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from locstyle.engine.scene import Scene, SceneRegion
from locstyle.photo.canvas import resize

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone

_SIDE = 256  # pixels of a picture as it is encoded, at most: only its mean is wanted
_FULL = 0.5  # the palette from where the tone is all the style's: its ground goes with its colours


def toned(scene: Scene, x: Tensor) -> Tensor:
    """The start `x` with the statistics of the references' noise, region by region.

    Styles that act from the start share it by their strengths; below 1 in all the rest stays `x`.
    """
    noisiest, moved = scene.schedule.noisiest, x
    for share, region in zip(scene.shares()[1:], scene.regions, strict=True):
        early = [one for one in region.styles if one.references and one.window.start == 0]
        total = max(1.0, sum(one.strength for one in early))
        for one in early:
            for reference in one.references:
                noise = reference.trajectory.at(noisiest)
                area = reference.at(noise.shape[-2], noise.shape[-1])
                like = adain(x, share, noise, area)
                part = one.strength / total / len(one.references)
                moved = moved + part * share * (like - x)
    return moved


def tinted(scene: Scene, x: Tensor, by: float) -> Tensor:
    """The start `x` moved, region by region, to the tone its palette asks, `by` times as far.

    That is the mean of the pictures that its styles were made from, of those that act from the
    start and whose picture is known. A noisy latent's mean is sqrt(alpha) times the clean one's.
    Regions with pictures are left to `toned`. Above 1 it overshoots: some reaches the end, as later
    steps go part of the way back.
    """
    far = by * float(scene.backbone.alphas[scene.schedule.noisiest]) ** 0.5
    for share, region in zip(scene.shares()[1:], scene.regions, strict=True):
        if not (far and region.palette and share.any()) or region.references:
            continue
        if (mean := _mean_of(scene.backbone, region)) is not None:
            own, _ = _statistics(scene.latent, share)
            asked = min(1.0, region.palette / _FULL)
            x = x + far * share * (asked * (mean - own)).to(x)
    return x


def _mean_of(backbone: Backbone, region: SceneRegion) -> Tensor | None:
    """The mean latent [1, channels, 1, 1] of its styles' pictures, each by its style's strength."""
    early = [one for one in region.styles if one.window.start == 0]
    shown = [(one.strength, one.style.preview) for one in early]
    known = [(strength, picture) for strength, picture in shown if picture is not None]
    if not known:
        return None
    total = sum(strength for strength, _ in known)
    side = min(backbone.native, max(_SIDE, backbone.multiple))
    side = side // backbone.multiple * backbone.multiple
    means = []
    for strength, picture in known:
        rgb = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1) / 255
        latent = backbone.encode(resize(rgb, (side, side))[None])
        means.append(strength / total * latent.mean((-2, -1), keepdim=True))
    return torch.stack(means).sum(0)


def adain(x: Tensor, share: Tensor, style: Tensor, area: Tensor) -> Tensor:
    """`x` [1, C, h, w] with the mean and spread of `style` per channel (arXiv:1703.06868 eq. 8).

    Its own are taken where `share` [1, 1, h, w] says, the style's where `area` [h, w] does.
    """
    (mean, spread), (new_mean, new_spread) = _statistics(x, share), _statistics(style, area)
    return (x - mean) / spread * new_spread + new_mean


def _statistics(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    share = (weight / weight.sum().clamp_min(1e-12)).to(x)
    mean = (share * x).sum((-2, -1), keepdim=True)
    variance = (share * (x - mean) ** 2).sum((-2, -1), keepdim=True)
    return mean, variance.sqrt().clamp_min(1e-6)
