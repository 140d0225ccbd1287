"""From a job to a scene: photo and references encoded and inverted, texts encoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.plan import Scene, SceneReference, SceneRegion, Window
from locstyle.engine.training import generator
from locstyle.engine.trajectory import pivot
from locstyle.inversions import Inversions, Inverter
from locstyle.references import Cut, cut, paired

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.engine.progress import OnStep
    from locstyle.resolve import Job
    from locstyle.trajectory_cache import TrajectoryCache


def make_scene(
    job: Job, backbone: Backbone, cache: TrajectoryCache | None, on_step: OnStep
) -> tuple[Scene, Inversions]:
    """The scene of a job, and what inverting its pictures cost.

    Raises:
        DenoiseError: a latent is not finite.
    """
    edit, wanted = job.edit, job.inversion
    schedule = backbone.schedule(edit.steps)
    visited = schedule if wanted.steps is None else backbone.schedule(wanted.steps)
    empty = backbone.text("")
    latent = backbone.encode(job.canvas.shrink(job.photo.rgb())[None])
    cuts = _cuts(job)
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
        regions=tuple(_regions(job, backbone, paired(cuts, others))),
        partition=job.partition("feather").on(job.canvas),
        schedule=schedule,
        empty=empty,
        text=_text(backbone, edit.prompt, "prompt"),
        negative=_text(backbone, edit.negative, "negative"),
    )
    return scene, inverted


def _cuts(job: Job) -> list[list[Cut]]:
    """Each region's references at the working size."""
    return [
        [
            cut(reference, job.canvas.padded, f"regions[{index}].style")
            for reference in (style.references if style else ())
        ]
        for index, style in enumerate(job.styles)
    ]


def _regions(
    job: Job, backbone: Backbone, references: Sequence[tuple[SceneReference, ...]]
) -> Iterator[SceneRegion]:
    for index, (region, style) in enumerate(zip(job.edit.regions, job.styles, strict=True)):
        negative = job.edit.negative if region.negative is None else region.negative
        yield SceneRegion(
            style=style,
            strength=region.strength,
            text=_spoken(job, backbone, index),
            negative=_text(backbone, negative, f"regions[{index}].negative"),
            window=Window(*region.window),
            references=references[index],
        )


def _spoken(job: Job, backbone: Backbone, index: int) -> Text:
    """A region's text; words its style has learned count as much as its strength says."""
    style, strength = job.styles[index], job.edit.regions[index].strength
    words = style.words if style else {}
    text = _text(backbone, job.prompts[index], f"regions[{index}].prompt", words)
    if not words or strength == 1:
        return text
    empty = backbone.text("")
    if strength == 0:
        return empty
    return replace(text, states=torch.lerp(empty.states, text.states, strength))


def _text(
    backbone: Backbone, prompt: str, where: str, words: Mapping[str, Tensor] | None = None
) -> Text:
    text = backbone.text(prompt, words)
    if text.cut:
        warnings.warn(f"{where}: longer than the text window; cut: {text.cut!r}", stacklevel=2)
    return text


def _noise(like: Tensor, seed: int) -> Tensor:
    """Drawn on the CPU in float32, so that a seed means the same on every device."""
    return torch.randn(like.shape, generator=generator(seed, "noise")).to(like)
