"""Edits of scenes whose truth is known: the paired world renders each in every style."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from board import Area, Board, Picture, Row, pasted, to_bytes

import locstyle as ls
from locstyle import measure

HELD_OUT_WORLD = 1  # the seed of scenes no training has seen
FIRST_SCENE = 2000  # past those that training reports on
PAIRS = (
    ("stained-glass", "neon"),
    ("swirl", "engraving"),
    ("neon", "swirl"),
    ("engraving", "stained-glass"),
)
SHARE = (0.12, 0.6)  # of the picture that a region may cover


@dataclass(frozen=True)
class Job:
    """A scene with two regions to style."""

    name: str
    photo: Picture
    caption: str
    masks: dict[str, Area]  # by what they show
    styles: tuple[str, ...]
    truths: tuple[Picture, ...]  # the whole scene in each style
    redrawn: tuple[Picture, ...]  # the same with every stroke fallen elsewhere


def run(board: Board, editor: ls.Editor, wanted: argparse.Namespace) -> int:
    """Score every candidate on every scene; the number of pictures per scene."""
    for job in jobs(wanted.scenes):
        for name, picture in candidates(board, editor, job, wanted):
            score(board, job, name, picture)
            board.show(f"{job.name} {name}", picture, save=True)
    board.average()
    return len(board.pictures) // wanted.scenes


def jobs(count: int) -> Iterator[Job]:
    """The first scenes of the held-out world with two regions large enough to have a texture."""
    from locstyle_plugins.mini.world import World

    number = FIRST_SCENE
    for index in range(count):
        while True:
            scene = World(HELD_OUT_WORLD).scene(number)
            number += 1
            masks = {n: m for n, m in scene.masks.items() if SHARE[0] <= m.mean() <= SHARE[1]}
            if len(masks) >= 2:
                break
        # the smallest two: rather things than what they stand on
        chosen = dict(sorted(masks.items(), key=lambda entry: float(entry[1].mean()))[:2])
        styles = PAIRS[index % len(PAIRS)]
        truths, redrawn = (
            tuple(one.render(style.replace("-", " ")) for style in styles)
            for one in (scene, replace(scene, seed=(HELD_OUT_WORLD + 1, number)))
        )
        yield Job(f"{number - 1}", scene.photo, scene.caption, chosen, styles, truths, redrawn)


def candidates(
    board: Board, editor: ls.Editor, job: Job, wanted: argparse.Namespace
) -> Iterator[tuple[str, Picture]]:
    """Name and picture, from what is free to what cannot be passed."""
    masks = job.masks.values()
    yield "input", job.photo
    painted = [
        to_bytes(measure.recolour(job.photo, truth, mask))
        for mask, truth in zip(masks, job.truths, strict=True)
    ]
    yield "recolour", pasted(job.photo, masks, painted)
    yield "wrong style", pasted(job.photo, masks, job.truths[::-1])
    for fusion in wanted.fusion:
        result = board.run(editor, edit(job, fusion, wanted), job.name)
        yield fusion, np.asarray(result.image.convert("RGB"))
    yield "redrawn truth", pasted(job.photo, masks, job.redrawn)
    truth = pasted(job.photo, masks, job.truths)
    yield "autoencoded truth", pasted(job.photo, masks, [autoencoded(editor, truth)] * 2)
    yield "truth", truth


def edit(job: Job, fusion: str, wanted: argparse.Namespace) -> ls.Edit:
    files = [
        wanted.loras / f"{style}.safetensors" if wanted.loras else style for style in job.styles
    ]
    return ls.Edit(
        image=job.photo,
        regions=tuple(
            ls.Region(mask.astype(np.float32), file)
            for mask, file in zip(job.masks.values(), files, strict=True)
        ),
        fusion=ls.Fusing(fusion, options=wanted.options),
        prompt=job.caption,
        steps=wanted.steps,
        seed=wanted.seed,
    )


def autoencoded(editor: ls.Editor, picture: Picture) -> Picture:
    """The picture encoded and decoded: what no edit on this backbone can pass."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        decoded = editor.backbone.decode(editor.backbone.encode(pixels.to(editor.backbone.device)))
    return to_bytes(decoded[0].permute(1, 2, 0).float().cpu().numpy())


def score(board: Board, job: Job, candidate: str, picture: Picture) -> None:
    """Distance to the truth inside each mask, and what was kept of the photo."""
    for (shown, mask), style, truth in zip(job.masks.items(), job.styles, job.truths, strict=True):
        figures = {
            "psnr": measure.psnr(picture, truth, mask),
            "colour": measure.colour_distance(picture, truth, mask),
            "texture": measure.texture_distance(picture, truth, mask),
            "beyond recolour": measure.beyond_recolour(picture, job.photo, truth, mask),
            "edges as photo": measure.edge_agreement(picture, job.photo, mask),
            "seam": measure.seam_index(picture, job.photo, mask),
        }
        board.regions.append(Row(job.name, candidate, f"{shown}: {style}", figures))
