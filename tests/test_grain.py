"""Grain brings a soft inside to the sharpness of what lies around it, and no further."""

from __future__ import annotations

import pytest
import torch

from locstyle.job.grain import grain_for, sharpness
from locstyle.photo.canvas import Canvas


def picture(sigma: float, size: int = 128) -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    ramp = torch.linspace(0.3, 0.6, size).expand(3, size, size)
    return (ramp + sigma * torch.randn(1, size, size, generator=draw)).clamp(0, 1)


def middle(size: int = 128) -> torch.Tensor:
    weight = torch.zeros(size, size)
    weight[32:96, 32:96] = 1
    return weight


CANVAS = Canvas.scaled((128, 128), (0, 0, 128, 128), scale=0.25, multiple=8)


def grain(styled: torch.Tensor, photo: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return grain_for(styled, photo, weight, CANVAS, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_the_inside_becomes_as_sharp_as_what_lies_around(sigma: float) -> None:
    photo, weight = picture(sigma), middle()
    soft = CANVAS.grow(CANVAS.shrink(photo))
    made = soft + grain(soft, photo, weight)
    before = sharpness(soft, weight == 1) / sharpness(photo, weight == 0)
    after = sharpness(made, weight == 1) / sharpness(photo, weight == 0)
    assert before < 0.6 and after == pytest.approx(1, abs=0.2)


def test_what_is_as_sharp_already_stays() -> None:
    photo, weight, inside = picture(0.03), middle(), middle() == 1
    made = photo + grain(photo, photo, weight)
    assert sharpness(made, inside) == pytest.approx(sharpness(photo, inside), rel=0.1)
    smooth = picture(0.0)
    assert float(grain(smooth, smooth, weight).abs().max()) < 1e-3


def test_a_window_without_surroundings_gets_none() -> None:
    photo = picture(0.04)
    soft = CANVAS.grow(CANVAS.shrink(photo))
    assert float(grain(soft, photo, torch.ones(128, 128)).abs().max()) == 0


def test_a_window_narrower_than_a_block_has_grain_too() -> None:
    canvas = Canvas.scaled((3, 400), (0, 0, 400, 3), scale=0.25, multiple=8)
    photo = picture(0.04, 400)[:, :3]
    weight = torch.zeros(3, 400)
    weight[:, :200] = 1
    soft = canvas.grow(canvas.shrink(photo))
    made = grain_for(soft, photo, weight, canvas, torch.Generator().manual_seed(0))
    assert made.shape == (1, 3, 400) and float(made.abs().max()) > 0
