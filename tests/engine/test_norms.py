"""Each region's own statistics in GroupNorm."""

from __future__ import annotations

from dataclasses import replace

import torch
from locstyle_plugins.singlepass import SinglePass
from torch import Tensor, nn

from locstyle import MIXED, Mask, Ownership, Partition, Row, Scene, Site, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.call import Call
from locstyle.engine.interventions.norms import RegionalNorm
from locstyle.engine.interventions.norms import normalized as regional_norm
from locstyle.testing import random_style, tiny_scene

SIZE = (4, 6)
HALVES = [Mask.box((0, 0, 3, 4), size=SIZE), Mask.box((3, 0, 6, 4), size=SIZE)]
SITE = Site("norm", "norm", "up", 0, 1)
CALL = Call(0.0, 0, (Row("+", MIXED),), SIZE)


def normalized(layer: nn.GroupNorm, x: Tensor, kin: tuple[int, ...]) -> Tensor:
    regional = RegionalNorm(Ownership(Partition.of(HALVES)), kin)
    return regional.feature(SITE, CALL, layer, x, layer(x))


def layer_and_input() -> tuple[nn.GroupNorm, Tensor]:
    layer = nn.GroupNorm(4, 8)
    nn.init.normal_(layer.weight)
    return layer, torch.randn(1, 8, *SIZE)


def test_a_region_is_normalized_as_if_alone() -> None:
    layer, x = layer_and_input()
    left, right = layer(x[..., :3]), layer(x[..., 3:])
    assert torch.allclose(normalized(layer, x, (0, 1, 2)), torch.cat([left, right], -1), atol=1e-5)


def test_regions_of_one_style_are_the_layer_itself() -> None:
    layer, x = layer_and_input()
    assert torch.equal(normalized(layer, x, (0, 1, 1)), layer(x))


def test_the_same_style_in_all_regions_is_that_style_everywhere(backbone: UNetBackbone) -> None:
    size, style = (32, 32), random_style(backbone)
    halves = [Mask.box((0, 0, 16, 32), size=size), Mask.box((16, 0, 32, 32), size=size)]
    one = tiny_scene(backbone, [style], [Mask.everywhere(size)])
    two = tiny_scene(backbone, [style, style], halves)
    two = replace(two, regions=one.regions * 2)
    assert torch.allclose(latent(one, True), latent(two, True), atol=1e-4)
    other = tiny_scene(backbone, [style, random_style(backbone, 1)], halves)
    assert not torch.allclose(latent(other, True), latent(other, False), atol=1e-2)


def latent(scene: Scene, apart: bool) -> Tensor:
    plan = SinglePass(SinglePass.Options(norms_apart=apart)).plan(scene)
    start = scene.start(0) if plan.start is None else plan.start
    with torch.no_grad():
        return denoise(scene.backbone, plan, scene.schedule, start).latent


def test_a_row_is_the_same_to_the_bit_whatever_rows_are_beside_it() -> None:
    layer, _ = layer_and_input()
    x = torch.randn(5, 8, *SIZE)
    areas = [torch.rand(SIZE), torch.rand(SIZE)]
    alone = torch.cat([regional_norm(layer, one[None], areas, one[None]) for one in x])
    assert torch.equal(regional_norm(layer, x, areas, x), alone)


def test_the_statistics_are_those_of_the_weighted_tokens() -> None:
    layer, x = layer_and_input()
    x = x * 2 + 100  # far from 0, where squares lose bits
    area = torch.rand(SIZE)
    split = x.unflatten(1, (4, -1))
    weight = area / (area.sum() * 2)
    mean = (weight * split).sum((2, 3, 4), keepdim=True)
    spread = (weight * (split - mean) ** 2).sum((2, 3, 4), keepdim=True)
    wanted = (area * (split - mean) / (spread + layer.eps).sqrt()).flatten(1, 2)
    wanted = wanted * layer.weight[:, None, None] + layer.bias[:, None, None]
    assert torch.allclose(regional_norm(layer, x, [area], x), wanted, atol=1e-4)
