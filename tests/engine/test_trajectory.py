"""Inversion: what refining it and learning texts for it gain, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from locstyle import CLEAN, Branch, Pivot, Plan, Step, Trajectory, denoise, invert, pivot
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import tiny_backbone


class Smooth:
    """A backbone with a smooth network in place of its random one, that counts its rows."""

    def __init__(self, backbone: UNetBackbone) -> None:
        self._backbone = backbone
        self.rows = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(self, x: Tensor, t: int, states: Tensor, tiles: object = None) -> Tensor:
        self.rows += len(x)
        return torch.sin(2 * x) * (0.5 + t / 2000) + 0.1 * torch.tanh(states.view(-1, 4, 8, 8))


def photo() -> Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def inverted(backbone: Any, steps: int, **how: Any) -> Trajectory:
    schedule = backbone.schedule(steps)
    with torch.no_grad():
        return invert(backbone, photo(), schedule, text=backbone.text(""), **how)


def back(backbone: Any, content: Trajectory, steps: int) -> Tensor:
    """The latent that denoising without guidance comes back to."""
    schedule = backbone.schedule(steps)
    branch = Branch("x", backbone.text(""))
    plan = Plan((branch,), (), lambda predictions, call: predictions["x"])
    with torch.no_grad():
        return denoise(backbone, plan, schedule, content.at(schedule.noisiest)).latent


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("aligned", [False, True])
def test_every_refinement_brings_the_photo_closer_until_it_is_exact(
    prediction: str, aligned: bool
) -> None:
    smooth, errors = Smooth(tiny_backbone(prediction=prediction)), []
    for refine in (0, 1, 3, 12):
        content = inverted(smooth, 40, refine=refine, aligned=aligned)
        errors.append(float((back(smooth, content, 40) - photo()).abs().max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-2 and errors[-1] < 1e-4


def test_a_refined_trajectory_is_the_one_denoising_follows(backbone: UNetBackbone) -> None:
    smooth, schedule = Smooth(backbone), backbone.schedule(40)
    content = inverted(smooth, 40, refine=15)
    for index, t in enumerate(schedule.timesteps):
        after = schedule.after(index)
        with torch.no_grad():
            prediction = smooth.predict(content.at(t), t, backbone.text("").states)
        moved = schedule.move(content.at(t), prediction, t, after)
        assert torch.allclose(moved, content.at(after), atol=1e-4)


@pytest.mark.parametrize("refine", [0, 2])
def test_a_refinement_costs_one_row_a_step(backbone: UNetBackbone, refine: int) -> None:
    smooth = Smooth(backbone)
    content = inverted(smooth, 3, refine=refine)
    assert smooth.rows == content.rows == 3 * (1 + refine)
    assert torch.equal(content.at(CLEAN), photo())
    assert set(content.latents) == {*backbone.schedule(3).timesteps, CLEAN}


def pivoted(backbone: Any, steps: int, how: Pivot, **more: Any) -> Trajectory:
    content, schedule = inverted(backbone, steps), backbone.schedule(steps)
    return pivot(backbone, content, schedule, text=backbone.text(""), how=how, **more)


def test_a_pivot_comes_closer_the_more_it_learns(backbone: UNetBackbone) -> None:
    smooth, errors = Smooth(backbone), []
    for iterations in (0, 3, 30):
        content = pivoted(smooth, 20, Pivot(iterations=iterations))
        errors.append(float((content.at(CLEAN) - photo()).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4


def test_a_pivot_that_learns_nothing_is_the_plain_way_back(backbone: UNetBackbone) -> None:
    smooth = Smooth(backbone)
    content = pivoted(smooth, 10, Pivot(iterations=0))
    assert torch.allclose(content.at(CLEAN), back(smooth, inverted(smooth, 10), 10), atol=1e-5)


def test_a_pivot_that_stops_early_is_within_twice_its_tolerance(backbone: UNetBackbone) -> None:
    """Where the early stop fired; its last update is made after the error was seen."""
    smooth, schedule = Smooth(backbone), backbone.schedule(20)
    losses: list[float] = []
    how = Pivot(iterations=200)
    target = inverted(smooth, 20)
    content = pivoted(smooth, 20, how, on_step=lambda step: losses.append(step.loss or 0))
    fired = 0
    for index, loss in enumerate(losses):
        enough = how.tolerance + how.slack * index / 20
        after = schedule.after(index)
        error = float((content.at(after) - target.at(after)).square().mean())
        if loss < enough:
            fired += 1
            assert error < 2 * enough
    assert fired > 10
    assert content.unconditional is not None
    assert set(content.unconditional) == set(schedule.timesteps)


def test_without_guidance_a_pivot_has_nothing_to_learn(backbone: UNetBackbone) -> None:
    """With w = 1 the error does not depend on the text."""
    content = pivoted(Smooth(backbone), 5, Pivot(guidance=1.0, iterations=5))
    empty = backbone.text("").states
    assert content.unconditional is not None
    for text in content.unconditional.values():
        assert torch.allclose(text.states, empty, atol=1e-6)


def test_a_pivot_learns_through_the_network_and_leaves_it_alone(backbone: UNetBackbone) -> None:
    """The tiny network itself, inside inference mode, as an edit runs it."""
    digest = backbone.weights_digest()
    with torch.inference_mode():
        content = inverted(backbone, 2)
        how = Pivot(iterations=3, tolerance=0, slack=0)
        learned = pivot(backbone, content, backbone.schedule(2), text=backbone.text(""), how=how)
    assert learned.rows == 2 + 2 * (3 + 2)
    assert learned.unconditional is not None
    one, other = (learned.unconditional[t].states for t in backbone.schedule(2).timesteps)
    assert not torch.equal(one, backbone.text("").states) and not torch.equal(one, other)
    assert backbone.weights_digest() == digest
    assert all(p.grad is None for p in backbone.unet.parameters())


def test_a_pivot_reports_its_steps_and_can_be_cancelled(backbone: UNetBackbone) -> None:
    def stop(step: Step) -> None:
        assert (step.phase, step.index, step.total) == ("pivot", 1, 4)
        assert step.loss is not None and step.preview is not None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pivoted(Smooth(backbone), 4, Pivot(iterations=1), on_step=stop)
