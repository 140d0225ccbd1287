"""The start of an edit in the tone of reference pictures, or of what a palette asks."""

from __future__ import annotations

from torch import Tensor

from locstyle.engine.scene import Scene


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

    A noisy latent's mean is sqrt(alpha) times the clean one's. Regions with pictures are left to
    `toned`. Above 1 it overshoots: some reaches the end, as later steps go part of the way back.
    """
    noisiest = scene.schedule.noisiest
    far = by * float(scene.backbone.alphas[noisiest]) ** 0.5
    for share, region in zip(scene.shares()[1:], scene.regions, strict=True):
        if region.tone is not None and not region.references:
            x = x + far * share * region.tone.to(x)
    return x


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
