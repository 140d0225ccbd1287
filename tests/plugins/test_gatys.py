"""The baseline `gatys`, by a small network with random weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from locstyle_plugins.bench import gatys as module
from locstyle_plugins.bench.baselines import as_tensor
from locstyle_plugins.bench.cases import Case, StylePicture
from locstyle_plugins.bench.methods import methods
from locstyle_plugins.bench.settings import Settings

import locstyle as ls

SIDE = 64


def look(pictures: torch.Tensor) -> list[torch.Tensor]:
    """Three blocks of random convolutions, strides 2, 4 and 8."""
    found, x, drawn = [], pictures, torch.Generator().manual_seed(0)
    for channels in (8, 12, 16):
        weight = torch.randn((channels, x.shape[1], 3, 3), generator=drawn) / x.shape[1] ** 0.5
        x = torch.relu(torch.nn.functional.conv2d(x, weight, stride=2, padding=1))
        found.append(x)
    return found


def case() -> Case:
    """A soft photo, half of which should be striped."""
    y, x = np.mgrid[:SIDE, :SIDE]
    photo = np.stack([x, y, (x + y) / 2], -1).astype(np.uint8) * 3
    stripes = np.where((x // 4 % 2 == 0)[..., None], (230, 200, 40), (30, 20, 90)).astype(np.uint8)
    return Case(
        name="case",
        group="case",
        caption="",
        photo=photo,
        shown=("half",),
        masks=(x < 40,),
        styles=(StylePicture("stripes", stripes),),
    )


def bench() -> SimpleNamespace:
    host = SimpleNamespace(metric=lambda name: SimpleNamespace(features=look))
    return SimpleNamespace(editor=SimpleNamespace(host=host))


def distance(picture: np.ndarray, one: Case) -> float:
    """What it minimises."""
    mask = torch.from_numpy(one.masks[0].astype(np.float32))[None, None]
    goals = [
        module._grams(seen, None) for seen in module._seen(look, _t(one.styles[0].picture), 64)
    ]
    return float(module._loss(module._seen(look, _t(picture), 64), goals, mask))


def _t(picture: np.ndarray) -> torch.Tensor:
    return as_tensor(picture)[None]


def test_it_comes_nearer_to_the_style_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 12)
    one = case()
    with torch.inference_mode():  # as a benchmark runs it
        found = module.gatys(bench(), one, [])
        again = module.gatys(bench(), one, [])
    outside = np.mgrid[:SIDE, :SIDE][1] > 44  # past the paste's feather
    assert distance(found.picture, one) < 0.7 * distance(one.photo, one)
    assert np.array_equal(found.picture[outside], one.photo[outside])
    assert np.array_equal(found.picture, again.picture)


def test_only_who_asks_for_it_gets_it(tiny_editor: ls.Editor, plugin_host: ls.Host) -> None:
    usual = methods(plugin_host, tiny_editor.backbone, Settings(out=Path("out")))[0]
    settings = Settings(out=Path("out"), methods=("gatys",))
    asked = methods(plugin_host, tiny_editor.backbone, settings)[0]
    assert "gatys" not in [one.name for one in usual]
    assert [one.name for one in asked] == ["gatys"]
