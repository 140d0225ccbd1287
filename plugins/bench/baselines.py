"""Methods that need no fusion, and pictures no edit can pass.

All paste as an edit does, through the same softened masks, so that none wins at the seam by pasting
differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

import locstyle as ls

from .cases import Case, Picture
from .settings import Settings

IMG2IMG_STRENGTH = 0.6  # of the schedule that is denoised; the usual middle of img2img
IMG2IMG_GUIDANCE = 2.0  # towards the style, as the fusions' default
PASTE_FEATHER = 2.0  # pixels; an Edit's default


@dataclass(frozen=True, eq=False)
class Attempt:
    """The picture a method made and, where a network made it, what only the method knows: rows."""

    picture: Picture
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What methods run on."""

    editor: ls.Editor
    settings: Settings
    on_step: ls.OnStep


def pasted(case: Case, pictures: Sequence[Picture | Tensor]) -> Picture:
    """The photo with every region's own picture ([H, W, 3] uint8, or [3, H, W] in [0, 1]) in it."""
    partition = weights(case)
    rgb = [one if isinstance(one, Tensor) else as_tensor(one) for one in pictures]
    weight = partition.weight
    # Regions meet softly: each picture counts by its share of what is pasted at all.
    shares = partition.at(*partition.size)[1:] / weight.clamp_min(1e-6)
    styled = sum((s * one.clamp(0, 1) for s, one in zip(shares, rgb, strict=True)), torch.zeros(1))
    photo = ls.Photo.from_image(case.photo)
    return np.asarray(photo.pasted(torch.as_tensor(styled), weight).srgb.convert("RGB"))


def weights(case: Case) -> ls.Partition:
    """The masks as they are pasted."""
    masks = [ls.Mask.from_image(mask.astype(np.float32)) for mask in case.masks]
    return ls.Partition.of(masks).feather(PASTE_FEATHER)


def unchanged(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """The photo."""
    return Attempt(case.photo)


def recoloured(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """Each region in the colours of its style picture, as anybody could do without the truth.

    `beyond_recolour` and `closed` have a stronger recolouring as their zero: to the truth itself.
    """
    return Attempt(pasted(case, [
        np.round(255 * ls.measure.recolour(
            case.photo, style.picture, mask, np.ones(style.picture.shape[:2], bool)
        )).astype(np.uint8)
        for mask, style in zip(case.masks, case.styles, strict=True)
    ]))  # fmt: skip


def img2img(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """The whole photo renoised by 0.6 and denoised under one region's style, cut out, pasted.

    SDEdit, arXiv:2108.01073, once per region: what a user without a regional method does.
    """
    found = [_img2img(bench, case, index, style) for index, style in enumerate(styles)]
    rows = sum(rows for _, rows in found)
    return Attempt(pasted(case, [picture for picture, _ in found]), {"rows": float(rows)})


def adain(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """The photo's latent given the style picture's mean and spread per channel inside the mask.

    Adaptive instance normalization, arXiv:1703.06868 eq. 8, on latents instead of VGG features.
    """
    canvas, latent = canvas_of(bench, case.photo), encoded(bench, case.photo)
    masks = [ls.Mask.from_image(mask.astype(np.float32)) for mask in case.masks]
    shares = ls.Partition.of(masks).on(canvas).at(*latent.shape[-2:]).to(latent)[1:]
    pictures = []
    for share, style in zip(shares, case.styles, strict=True):
        mean, spread = _moments(encoded(bench, style.picture), None)
        own_mean, own_spread = _moments(latent, share)
        moved = (latent - own_mean) / own_spread * spread + mean
        pictures.append(_decoded(bench, moved, canvas))
    return Attempt(pasted(case, pictures), {"rows": 0.0})


def oracle(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """The truth through the autoencoder: no edit on this backbone can pass it."""
    truths, canvas = case.truths or (), canvas_of(bench, case.photo)
    found = [_decoded(bench, encoded(bench, one), canvas) for one in truths]
    return Attempt(pasted(case, found))


def redrawn(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """The truth drawn anew: what an artist who masters the style could hope for."""
    return Attempt(pasted(case, case.redrawn or ()))


def _img2img(bench: Bench, case: Case, index: int, style: ls.Style) -> tuple[Tensor, int]:
    backbone, canvas, settings = bench.editor.backbone, canvas_of(bench, case.photo), bench.settings
    solver, steps = settings.sampling
    schedule = backbone.schedule(steps)
    first = steps - max(1, round(steps * IMG2IMG_STRENGTH))
    schedule = replace(schedule, timesteps=schedule.timesteps[first:])
    latent = encoded(bench, case.photo)
    noise = torch.randn(latent.shape, generator=ls.generator(settings.seed, f"img2img {index}"))
    level = schedule.alpha(schedule.noisiest)
    start = level**0.5 * latent + (1 - level) ** 0.5 * noise.to(latent)
    words = f"{style.trigger} of {case.caption}" if case.caption else style.trigger
    text, empty = backbone.text(words), backbone.text("")
    region = ls.SceneRegion((ls.SceneStyle(style),), text, empty)
    everywhere = ls.Partition.of([ls.Mask.everywhere(canvas.padded)])
    plan = ls.Plan(
        branches=(ls.Branch("-", empty, 1), ls.Branch("+", text, 1)),
        interventions=(ls.Deltas((region,), ls.Ownership(everywhere), plain={"-"}),),
        compose=lambda seen, call: ls.guide(seen["-"], seen["+"], IMG2IMG_GUIDANCE),
    )
    done = ls.denoise(backbone, plan, schedule, start, solver=solver, on_step=bench.on_step)
    return _decoded(bench, done.latent, canvas), done.rows


def canvas_of(bench: Bench, picture: Picture) -> ls.Canvas:
    """A picture's own size, padded to what the backbone takes."""
    height, width = picture.shape[:2]
    backbone, size = bench.editor.backbone, (height, width)
    return ls.Canvas.fit(size, size=size, native=backbone.native, multiple=backbone.multiple)


def encoded(bench: Bench, picture: Picture) -> Tensor:
    """The latent [1, channels, h, w] of a picture on its canvas."""
    backbone = bench.editor.backbone
    pixels = canvas_of(bench, picture).shrink(as_tensor(picture))[None]
    return backbone.encode(pixels.to(backbone.device))


def _decoded(bench: Bench, latent: Tensor, canvas: ls.Canvas) -> Tensor:
    return canvas.grow(bench.editor.backbone.decode(latent)[0].float().cpu())


def _moments(latent: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and spread per channel [1, channels, 1, 1], weighted by `share` [h, w]."""
    weight = torch.ones_like(latent[:1, :1]) if share is None else share[None, None]
    weight = weight / weight.sum().clamp_min(1e-6)
    mean = (latent * weight).sum((2, 3), keepdim=True)
    spread = ((latent - mean) ** 2 * weight).sum((2, 3), keepdim=True).sqrt()
    return mean, spread.clamp_min(1e-5)


def as_tensor(picture: Picture) -> Tensor:
    """[3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
