"""One pair of rows for any number of regions, with the invariants that make that trustworthy."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from locstyle_plugins.diffstyler import DiffStyler
from locstyle_plugins.singlepass import SinglePass
from torch import Tensor

from locstyle import Delta, Fusion, Mask, Scene, Style, StyleError, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import ATTENTION, random_style, strips, tiny_scene

ALL_PARTS = (*ATTENTION, "conv1", "conv2", "proj_in", "proj_out", "2")
SIZE = (32, 32)


def run(scene: Scene, fusion: Fusion, *, max_rows: int | None = None) -> tuple[Tensor, int]:
    start = scene.content.at(scene.schedule.noisiest)
    with torch.no_grad():
        done = denoise(scene.backbone, fusion.plan(scene), scene.schedule, start, max_rows=max_rows)
    return done.latent, done.rows


def options(**given: float) -> SinglePass.Options:
    return SinglePass.Options(**({"guidance": 2.0} | given))  # type: ignore[arg-type]


def alike(scene: Scene) -> Scene:
    """The scene with the first region's texts in every region."""
    first = scene.regions[0]
    return replace(
        scene,
        regions=tuple(
            replace(region, text=first.text, negative=first.negative) for region in scene.regions
        ),
    )


def test_one_full_region_is_the_style_everywhere(backbone: UNetBackbone) -> None:
    """The mixed rows of a full mask equal diffstyler's rows that one region owns entirely."""
    style = random_style(backbone, 1, parts=ALL_PARTS)
    scene = tiny_scene(backbone, [style], [Mask.everywhere(SIZE)])
    whole = DiffStyler.Options(
        guidance=2.0,
        feature_source="base",
        attention_share=0,
        feature_share=0,
        fresh_noise=1.0,
    )
    mixed, _ = run(scene, SinglePass(options(structure=0.0)))
    owned, _ = run(scene, DiffStyler(whole))
    assert torch.allclose(mixed, owned, atol=1e-4)


def test_the_same_style_in_all_regions_is_one_region(backbone: UNetBackbone) -> None:
    style = random_style(backbone, 1, parts=ALL_PARTS)
    halves = [Mask.box((0, 0, 16, 32), size=SIZE), Mask.box((16, 0, 32, 32), size=SIZE)]
    two = alike(tiny_scene(backbone, [style, style], halves))
    one = tiny_scene(backbone, [style], [Mask.everywhere(SIZE)])
    fusion = SinglePass(options())
    assert torch.allclose(run(two, fusion)[0], run(one, fusion)[0], atol=1e-4)


def test_region_order_does_not_matter(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, s, parts=ALL_PARTS) for s in (1, 2)])
    swapped = tiny_scene(
        backbone, [random_style(backbone, s, parts=ALL_PARTS) for s in (2, 1)], strips(2)[::-1]
    )
    swapped = replace(swapped, regions=scene.regions[::-1])
    fusion = SinglePass(options())
    assert torch.allclose(run(scene, fusion)[0], run(swapped, fusion)[0], atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_do_not_grow_with_regions(backbone: UNetBackbone, count: int) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, s) for s in range(count)], steps=10)
    # Two rows a step, and the photo's own row for the first 60 % of them.
    assert run(scene, SinglePass(options(structure=0.5)))[1] == 26
    assert run(scene, SinglePass(options(structure=0.0)))[1] == 20
    assert run(scene, SinglePass(options(guidance=1, structure=0.0)))[1] == 10


def test_chunked_rows_give_the_same_latents(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, s, parts=ALL_PARTS) for s in (1, 2)])
    fusion = SinglePass(options())
    whole, _ = run(scene, fusion)
    assert torch.allclose(run(scene, fusion, max_rows=1)[0], whole, atol=1e-5)


def test_the_background_is_held(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, 1)], strips(1))
    assert torch.equal(run(scene, SinglePass())[0][..., 5:], scene.latent[..., 5:])


def test_a_delta_that_cannot_be_limited_to_a_region_is_refused_by_name(
    backbone: UNetBackbone,
) -> None:
    site = next(s for s in backbone.sites if s.part == "time_emb_proj")
    delta = Delta(torch.ones(1, site.shape[1]), torch.ones(site.shape[0], 1))
    scene = tiny_scene(backbone, [Style("timed", "tiny", {site.name: delta}, {})])
    with pytest.raises(StyleError, match=r"time_emb_proj: .* use the diffstyler fusion"):
        run(scene, SinglePass())
    run(scene, DiffStyler())


@pytest.mark.parametrize("fresh", [0.0, 0.5, 1.0])
def test_fresh_noise_enters_inside_the_regions_only(backbone: UNetBackbone, fresh: float) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, 1)], strips(1))
    inverted = scene.content.at(scene.schedule.noisiest)
    loose = SinglePass(SinglePass.Options(structure=(1 - fresh) / 2))
    for fusion in (loose, DiffStyler(DiffStyler.Options(fresh_noise=fresh))):
        start = fusion.plan(scene).start
        assert start is not None
        assert torch.equal(start[..., 4:], inverted[..., 4:])
        wanted = (1 - fresh) ** 0.5 * inverted + fresh**0.5 * scene.noise
        assert torch.allclose(start[..., :4], wanted[..., :4], atol=1e-6)


@pytest.mark.parametrize("fusion", [SinglePass, DiffStyler])
def test_the_negative_row_is_styled_only_where_asked(
    backbone: UNetBackbone, fusion: type[SinglePass] | type[DiffStyler]
) -> None:
    """With w = 0 nothing but the negative row is left, so a style in it is the only one seen."""
    style = random_style(backbone, 1, parts=ALL_PARTS)
    styled, bare = tiny_scene(backbone, [style], strips(1)), tiny_scene(backbone, [None], strips(1))
    for within in (False, True):
        chosen = fusion(fusion.Options(guidance=0.0, style_in_negative=within))  # type: ignore[arg-type]
        shows = not torch.allclose(run(styled, chosen)[0], run(bare, chosen)[0], atol=1e-6)
        assert shows == within
