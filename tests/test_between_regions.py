"""The arithmetic of benchmarks/between_regions.py: its figures decide a default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from locstyle import Mask, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, tiny_scene

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def halves(width: int) -> torch.Tensor:
    own = torch.zeros(2, 4, width)
    own[0, :, : width // 2] = 1
    return torch.stack([own[0], 1 - own[0]])


def test_statistics_of_one_owner_are_the_layer_itself() -> None:
    from norm_statistics import normalized

    x, layer = torch.randn(2, 8, 4, 6), nn.GroupNorm(4, 8)
    nn.init.normal_(layer.weight)
    assert torch.allclose(normalized(layer, x, torch.ones(1, 4, 6), x), layer(x), atol=1e-5)


def test_statistics_of_its_own_keep_a_region_from_the_other() -> None:
    from norm_statistics import normalized

    x, layer = torch.randn(1, 8, 4, 6), nn.GroupNorm(4, 8)
    other = torch.cat([x[..., :3], 5 * x[..., 3:] + 2], -1)
    one, two = (normalized(layer, each, halves(6), each) for each in (x, other))
    assert torch.allclose(one[..., :3], two[..., :3], atol=1e-5)
    assert not torch.allclose(layer(x)[..., :3], layer(other)[..., :3], atol=1e-2)


@pytest.mark.parametrize("whose", ["own", "photo"])
def test_the_switch_acts_inside_its_with_alone(backbone: UNetBackbone, whose: str) -> None:
    from locstyle_plugins.singlepass import SinglePass
    from norm_statistics import statistics

    masks = [Mask.box((0, 0, 16, 32), size=(32, 32)), Mask.box((16, 0, 32, 32), size=(32, 32))]
    scene = tiny_scene(backbone, [random_style(backbone, n) for n in range(2)], masks)

    def latent() -> torch.Tensor:
        together = SinglePass(SinglePass.Options(norms_apart=False))
        plan, start = together.plan(scene), scene.start(0)
        with torch.no_grad():
            return denoise(backbone, plan, scene.schedule, start).latent

    before = latent()
    with statistics(backbone, whose):  # type: ignore[arg-type]  # one of its literals
        within = latent()
    assert not torch.allclose(within, before, atol=1e-3)
    assert torch.equal(latent(), before)


def test_a_change_is_counted_where_nothing_mixes_the_regions() -> None:
    from adjacent import NEAR, changed, sky_cases

    case = next(sky_cases(1, 128))
    far = np.where(case.masks[1][..., None], 0, case.photo).astype(np.uint8)
    assert changed(case, far, case.photo, 2.0) == {"near": 0.0, "far": 0.0}
    raised = case.photo // 2 + 10
    figures = changed(case, raised, case.photo // 2, 2.0)
    assert figures["near"] == figures["far"] == 10
    assert NEAR > 2
