"""From a frame to a scene: photo and references encoded and inverted, texts encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.noise import generator
from locstyle.engine.plan import Window
from locstyle.engine.scene import Scene, SceneReference, SceneRegion, SceneStyle
from locstyle.engine.schedule import CLEAN
from locstyle.engine.tiles import Tile, Tiles
from locstyle.engine.trajectory import Trajectory, pivot
from locstyle.job.inversions import Inversions, Inverter, KeepsInversions
from locstyle.job.references import Cut, cut, paired
from locstyle.job.styles import style_places
from locstyle.job.texts import Reading, acting_styles, negative_text, region_texts
from locstyle.masks import Partition

if TYPE_CHECKING:
    from locstyle.edit import Styling
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.engine.progress import OnStep
    from locstyle.engine.schedule import Schedule
    from locstyle.job.frames import Frame
    from locstyle.job.resolve import Job
    from locstyle.style import Style


def inverter_of(job: Job, backbone: Backbone, cache: KeepsInversions | None) -> Inverter:
    """What inverts the pictures of a job, frame after frame."""
    wanted, schedule = job.inversion, job.settled.schedule(backbone)
    if wanted.steps is not None:
        schedule = backbone.schedule(wanted.steps).visiting(schedule)
    empty = backbone.text("")
    if job.settled.renoises:  # nothing is worth keeping of what no row was evaluated for
        return Inverter(backbone, schedule, wanted, empty, fresh=job.fresh)
    return Inverter(backbone, schedule, wanted, empty, cache, accelerator=job.accelerator)


def make_scene(
    job: Job, frame: Frame, inverter: Inverter, on_step: OnStep
) -> tuple[Scene, Inversions]:
    """The scene of a frame, and what inverting its pictures cost.

    Raises:
        DenoiseError: a latent is not finite.
    """
    edit, backbone, empty = job.edit, inverter.backbone, inverter.empty
    schedule = job.settled.schedule(backbone)
    reading = Reading.of(edit, job.fusion, backbone)
    latent = encoded(backbone, job.photo.on(frame.canvas), frame.tiles)
    cuts = [*_cuts(job, frame, backbone.factor)]
    latents = [latent, *(backbone.encode(one.picture[None]) for group in cuts for one in group)]
    inverted = inverter.invert(latents, on_step, tiles=frame.tiles)
    content, *others = inverted.trajectories
    if (how := inverter.inversion.pivot) is not None:
        content = pivot(backbone, content, schedule, text=empty, how=how, on_step=on_step)
        inverted = inverted.replaced(content)
    scene = Scene(
        backbone=backbone,
        latent=latent,
        content=content,
        noise=_noise(latent, edit.seed),
        regions=tuple(_regions(job, frame, reading, paired(cuts, others), schedule)),
        partition=job.layers(frame, "feather").on(frame.canvas),
        schedule=schedule,
        empty=empty,
        text=reading.text(edit.prompt, "prompt"),
        negative=negative_text(edit, job.styles, reading),
    )
    return scene, inverted


def supposed_scene(job: Job, frame: Frame, inverter: Inverter) -> Scene:
    """The scene of a frame before anything was looked at: what a fusion would plan, in rows.

    Latents are noise, texts empty, and every owner has the same share of every place.
    """
    backbone, empty, (height, width) = inverter.backbone, inverter.empty, frame.tiles.size
    schedule = job.settled.schedule(backbone)
    side = backbone.multiple
    channels = backbone.encode(torch.zeros(1, 3, side, side)).shape[1]
    visited = {CLEAN, *schedule.timesteps, *inverter.schedule.timesteps}

    def still(size: tuple[int, int]) -> Trajectory:
        drawn = torch.randn((1, channels, *size), generator=generator(0, "supposed"))
        latent = drawn.to(backbone.device)
        return Trajectory(dict.fromkeys(visited, latent))

    content = still((height, width))
    if inverter.inversion.pivot is not None:
        content = replace(content, unconditional=dict.fromkeys(schedule.timesteps, empty))
    pictures = {
        id(one): SceneReference(still(frame.tiles.tiles[0].size))
        for index in frame.regions
        for style in job.styles[index]
        for one in style.references
    }
    count = len(frame.regions) + 1
    shares = torch.full((1, 1, 1), 1 / count).expand(count, *frame.canvas.padded)
    return Scene(
        backbone=backbone,
        latent=content.at(CLEAN),
        content=content,
        noise=content.at(CLEAN),
        regions=tuple(_supposed(job, index, pictures, empty) for index in frame.regions),
        partition=Partition(shares),
        schedule=schedule,
        empty=empty,
        text=empty,
        negative=empty,
    )


def _supposed(
    job: Job, index: int, pictures: Mapping[int, SceneReference], empty: Text
) -> SceneRegion:
    region = job.edit.regions[index]
    styles = tuple(
        SceneStyle(
            style,
            one.strength,
            Window(*one.window),
            tuple(pictures[id(reference)] for reference in style.references),
        )
        for _, one, style in _acting(job, index)
    )
    return SceneRegion(styles, empty, empty, region.guidance, region.structure)


def encoded(backbone: Backbone, picture: Tensor, tiles: Tiles) -> Tensor:
    """The latent [1, channels, h, w] of a picture [3, H, W] in [0, 1], encoded tile by tile.

    Exactly the whole where one tile suffices.
    """
    cut = [one.of(picture, backbone.factor)[None] for one in tiles.tiles]
    return tiles.merged(backbone.as_one([partial(backbone.encode, one) for one in cut]))


def decoded(backbone: Backbone, latent: Tensor, tiles: Tiles) -> Tensor:
    """The picture [3, ph, pw] in [0, 1] of a latent, on the CPU, decoded tile by tile.

    Exactly the whole where one tile suffices.
    """

    def seen(tile: Tile) -> Tensor:
        return backbone.decode(tile.of(latent))[0].float().cpu()

    parts = backbone.as_one([partial(seen, one) for one in tiles.tiles])
    return tiles.merged(parts, backbone.factor)


def _cuts(job: Job, frame: Frame, factor: int) -> Iterator[list[Cut]]:
    """The references of each style of each region drawn, as large as one pass of the network."""
    height, width = frame.tiles.tiles[0].size
    for index in frame.regions:
        for place, _, style in _acting(job, index):
            size = height * factor, width * factor
            yield [cut(one, size, place) for one in style.references]


def _acting(job: Job, index: int) -> Iterator[tuple[str, Styling, Style]]:
    """The styles that a fusion sees of a region, each with its place in the recipe."""
    region = job.edit.regions[index]
    places = style_places(region, index)
    for number, one, style in acting_styles(job.edit, region, job.styles[index]):
        yield places[number], one, style


def _regions(
    job: Job,
    frame: Frame,
    reading: Reading,
    references: Sequence[tuple[SceneReference, ...]],
    schedule: Schedule,
) -> Iterator[SceneRegion]:
    """`references`: of each style of each region drawn, one after another."""
    following = iter(references)
    for index in frame.regions:
        region = job.edit.regions[index]
        text, negative = region_texts(job.edit, job.styles, reading, schedule, index)
        yield SceneRegion(
            styles=tuple(
                SceneStyle(style, one.strength, Window(*one.window), next(following))
                for _, one, style in _acting(job, index)
            ),
            text=text,
            negative=negative,
            guidance=region.guidance,
            structure=region.structure,
            palette=region.palette if isinstance(region.palette, float) else 0.0,
        )


def _noise(like: Tensor, seed: int) -> Tensor:
    """Drawn on the CPU in float32, so that a seed means the same on every device."""
    return torch.randn(like.shape, generator=generator(seed, "noise")).to(like)
