"""From a job to a scene: photo and references encoded and inverted, texts encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.plan import Window
from locstyle.engine.scene import Scene, SceneReference, SceneRegion, SceneStyle
from locstyle.engine.training import generator
from locstyle.engine.trajectory import pivot
from locstyle.job.inversions import Inversions, Inverter
from locstyle.job.references import Cut, cut, paired
from locstyle.job.styles import style_places
from locstyle.job.texts import region_text, text_of

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone
    from locstyle.engine.progress import OnStep
    from locstyle.engine.schedule import Schedule
    from locstyle.job.cache import TrajectoryCache
    from locstyle.job.resolve import Job


def make_scene(
    job: Job, backbone: Backbone, cache: TrajectoryCache | None, on_step: OnStep
) -> tuple[Scene, Inversions]:
    """The scene of a job, and what inverting its pictures cost.

    Raises:
        DenoiseError: a latent is not finite.
    """
    edit, wanted = job.edit, job.inversion
    schedule = backbone.schedule(job.settled.steps)
    visited = schedule if wanted.steps is None else backbone.schedule(wanted.steps)
    empty = backbone.text("")
    latent = backbone.encode(job.photo.on(job.canvas)[None])
    cuts = [*_cuts(job)]
    latents = [latent, *(backbone.encode(one.picture[None]) for group in cuts for one in group)]
    inverted = Inverter(backbone, visited, wanted, empty, cache).invert(latents, on_step)
    content, *others = inverted.trajectories
    if wanted.pivot is not None:
        content = pivot(backbone, content, schedule, text=empty, how=wanted.pivot, on_step=on_step)
        inverted = inverted.replaced(content)
    scene = Scene(
        backbone=backbone,
        latent=latent,
        content=content,
        noise=_noise(latent, edit.seed),
        regions=tuple(_regions(job, backbone, paired(cuts, others), schedule)),
        partition=job.layers("feather").on(job.canvas),
        schedule=schedule,
        empty=empty,
        text=text_of(backbone, edit.prompt, "prompt"),
        negative=text_of(backbone, edit.negative, "negative"),
    )
    return scene, inverted


def _cuts(job: Job) -> Iterator[list[Cut]]:
    """The references of each style of each region, at the working size."""
    for index, (region, styles) in enumerate(zip(job.edit.regions, job.styles, strict=True)):
        stylings = zip(style_places(region, index), region.stylings, styles, strict=True)
        for place, one, style in stylings:
            if one.strength:
                yield [cut(one, job.canvas.padded, place) for one in style.references]


def _regions(
    job: Job,
    backbone: Backbone,
    references: Sequence[tuple[SceneReference, ...]],
    schedule: Schedule,
) -> Iterator[SceneRegion]:
    """`references`: of each style of each region, one after another."""
    following = iter(references)
    for index, (region, styles) in enumerate(zip(job.edit.regions, job.styles, strict=True)):
        negative = job.edit.negative if region.negative is None else region.negative
        yield SceneRegion(
            styles=tuple(
                SceneStyle(style, one.strength, Window(*one.window), next(following))
                for one, style in zip(region.stylings, styles, strict=True)
                if one.strength  # at 0 it is no style, in every fusion
            ),
            text=region_text(region, styles, job.edit, backbone, schedule, index),
            negative=text_of(backbone, negative, f"regions[{index}].negative"),
            guidance=region.guidance,
            structure=region.structure,
        )


def _noise(like: Tensor, seed: int) -> Tensor:
    """Drawn on the CPU in float32, so that a seed means the same on every device."""
    return torch.randn(like.shape, generator=generator(seed, "noise")).to(like)
