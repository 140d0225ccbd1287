"""An accelerator is distilled from the backbone alone, and training goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from locstyle_lab import distil
from locstyle_lab.distil import Distilling, Leap, walk
from locstyle_lab.training import Run, WindowStage
from locstyle_plugins.lora import adapted
from locstyle_plugins.mini import WEIGHTS
from torch import Tensor

import locstyle as ls

SMALL = Distilling(rank=1, stages=(WindowStage(0.5, 8, 2), WindowStage(1.0, 16, 2)))


@pytest.fixture(scope="module")
def mini() -> ls.Backbone:
    return ls.load_backbone(WEIGHTS, device="cpu", family="mini")


def asked(mini: ls.Backbone, t: int) -> Leap:
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    states = mini.text("a photo of a house").states.expand(2, -1, -1)
    return Leap(noisy, torch.full((2,), t), states)


@torch.no_grad()
def solved(mini: ls.Backbone, one: Leap, timesteps: tuple[int, ...]) -> Tensor:
    """The same by the library's own solver."""
    schedule = replace(mini.schedule(len(timesteps)), timesteps=timesteps)
    x, before = one.noisy, None
    for t, end in pairwise(timesteps):
        prediction = mini.predict(x, t, one.states)
        leg = ls.Leg(x, prediction, ls.Aim(schedule.clean(x, prediction, t), t), before, end)
        x, before = ls.SOLVERS["dpm++2m"](schedule, leg), leg.aim
    return x


def test_the_teacher_walks_as_the_librarys_solver_does(mini: ls.Backbone) -> None:
    one = asked(mini, 900)
    with torch.no_grad():
        there = walk(mini, one, Distilling(steps=4, inner=2))
    assert torch.allclose(there, solved(mini, one, (900, 775, 650)), atol=1e-3)


def test_the_teacher_is_the_backbone_without_what_is_learned(mini: ls.Backbone) -> None:
    one = asked(mini, 500)
    with torch.no_grad():
        plain = mini.predict(one.noisy, one.steps, one.states)
    with adapted(mini, 1, distil.TARGETS, 0) as layers, torch.no_grad():
        student = distil.Student(mini, layers)
        for factor in student.factors:
            factor.weight += 0.1
        assert not torch.equal(mini.predict(one.noisy, one.steps, one.states), plain)
        with student.teaching():
            assert torch.equal(mini.predict(one.noisy, one.steps, one.states), plain)


@pytest.mark.slow
def test_distilling_writes_an_accelerator_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "_PROBED", 1)
    monkeypatch.setattr(distil, "_ASKED", WindowStage(1.0, 8, 4))
    monkeypatch.setattr(distil, "LARGE", 64)
    run = Run(minutes=0.02, work=tmp_path, out=tmp_path, init=WEIGHTS, scenes=1)
    found = []
    for minutes in (0.02, 0.05):
        distil.distil(replace(run, minutes=minutes), SMALL)
        style, _ = ls.read_style(tmp_path / "accelerator.safetensors")
        assert style.kinds == {"deltas"} and style.meta["steps"] == "4"
        found.append(int(style.meta["trained_steps"]))
    assert 0 < found[0] < found[1]
    lines = [json.loads(x) for x in (tmp_path / "distil-log.jsonl").read_text().splitlines()]
    assert len(lines[-1]["quarters"]) == 4 and 0 < lines[-1]["held_out"] < 1
