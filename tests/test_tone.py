"""A palette that asks for the style's colours begins at the style's tone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.interventions.tone import _statistics
from locstyle.job.make_scene import inverter_of, make_scene
from locstyle.job.resolve import resolve
from locstyle.plugin.host import Host
from locstyle.style import Style
from locstyle.style.preview import thumbnail
from locstyle.testing import random_style, random_words, tiny_backbone

SIDE = 64
HALF = "box:0,0,32,64"


def style(seen: bool = True) -> Style:
    """A LoRA that was made from a dark picture, if anybody knows."""
    dark = Image.fromarray(np.full((32, 32, 3), (10, 10, 60), np.uint8))
    made = random_style(tiny_backbone(), 1)
    return replace(made, meta={**made.meta, "preview": thumbnail(dark)} if seen else made.meta)


def scene_of(host: Host, *regions: ls.Region, negative: str = "") -> ls.Scene:
    backbone = tiny_backbone()
    photo = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    edit = ls.Edit(photo, regions, steps=2, feather=0, negative=negative)
    job = resolve(edit, backbone, host)
    inverter = inverter_of(job, backbone, None)
    return make_scene(job, job.frames[0], inverter, lambda step: None)[0]


def noisy(scene: ls.Scene) -> float:
    """What a clean latent's mean is worth in the start."""
    return float(scene.backbone.alphas[scene.schedule.noisiest]) ** 0.5


@pytest.mark.parametrize(("palette", "share"), [(0.25, 0.5), (0.5, 1.0), (1.0, 1.0)])
def test_the_tone_goes_from_the_photos_mean_to_the_styles(plugin_host, palette, share) -> None:
    scene = scene_of(plugin_host, ls.Region(HALF, style(), palette=palette))
    start, own = scene.start(0.5), scene.shares()[1]
    dark = torch.full((1, 3, 32, 32), 10 / 255)
    dark[:, 2] = 60 / 255
    wanted = scene.backbone.encode(dark).mean((-2, -1), keepdim=True)
    way = share * (wanted - _statistics(scene.latent, own)[0])
    moved = (ls.tinted(scene, start, 2.0) - start) / (2 * noisy(scene))
    assert torch.allclose(moved, own * way, atol=0.05 * way.abs().max())


@pytest.mark.parametrize("region", [
    ls.Region(HALF, style(), palette=0.0),
    ls.Region(HALF, style(), palette="drawn"),
    ls.Region(HALF, style()),
    ls.Region(HALF, style(seen=False), palette=1.0),
    ls.Region(HALF, style(), palette=1.0, window=(0.5, 1.0)),
], ids=["the photo's", "as drawn", "nothing said", "nobody knows", "late"])  # fmt: skip
def test_nothing_else_has_a_tone(plugin_host, region) -> None:
    scene = scene_of(plugin_host, region)
    start = scene.start(0.5)
    assert torch.equal(ls.tinted(scene, start, 2.0), start)


def test_the_start_moves_inside_the_region_alone(plugin_host) -> None:
    scene = scene_of(plugin_host, ls.Region(HALF, style(), palette=1.0))
    start, own = scene.start(0.5), scene.shares()[1]
    moved = ls.tinted(scene, start, 2.0) - start
    outside = (own == 0).expand_as(moved)
    assert outside.any() and not moved[outside].any()
    assert moved.any()
    half = ls.tinted(scene, start, 1.0) - start
    assert torch.allclose(moved, 2 * half, atol=1e-5)


def test_pictures_bring_their_own_tone(plugin_host) -> None:
    picture = Style.from_pictures("one", [ls.Photo.from_image(np.zeros((32, 32, 3), np.uint8))])
    scene = scene_of(plugin_host, ls.Region(HALF, picture, palette=1.0))
    start = scene.start(0.5)
    assert torch.equal(ls.tinted(scene, start, 2.0), start)


def test_words_of_the_negative_prompt_have_none(plugin_host) -> None:
    words = random_words(tiny_backbone()).with_preview(Image.new("RGB", (8, 8), "red"))
    region = ls.Region(HALF, words, palette=1.0)
    for negative, moves in ((f"blur, {words.trigger}", False), ("", True)):
        scene = scene_of(plugin_host, region, negative=negative)
        start = scene.start(0.5)
        assert torch.equal(ls.tinted(scene, start, 2.0), start) is not moves
