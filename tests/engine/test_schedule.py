"""Time points and the step between them, against Stable Diffusion's numbers and diffusers' own
scheduler."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from locstyle import CLEAN
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.schedule import Schedule, leading_timesteps, spaced_timesteps
from locstyle.testing import tiny_backbone


def test_fifty_steps_are_stable_diffusions() -> None:
    assert leading_timesteps(50) == tuple(range(981, 0, -20))
    assert leading_timesteps(999) == tuple(range(999, 0, -1))


@pytest.mark.parametrize("steps", [1, 7, 30, 333, 600, 999])
def test_every_schedule_descends_within_range(steps: int) -> None:
    timesteps = leading_timesteps(steps)
    assert len(set(timesteps)) == steps
    assert list(timesteps) == sorted(timesteps, reverse=True)
    assert 1 == timesteps[-1] <= timesteps[0] <= 999


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="accepted: 1 to 999"):
        leading_timesteps(1000)


def test_levels_are_stable_diffusions(backbone: UNetBackbone) -> None:
    schedule = backbone.schedule(50)
    levels = {CLEAN: 0.999150, 1: 0.998296, 501: 0.274999, 981: 0.0057755}
    for t, alpha in levels.items():
        assert schedule.alpha(t) == pytest.approx(alpha, rel=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_move_is_diffusers_ddim_step(prediction: str) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(50)
    theirs = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    theirs.set_timesteps(50)
    x, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for index in (0, 25, 49):
        t = schedule.timesteps[index]
        ours = schedule.move(x, noise, t, schedule.after(index))
        assert torch.allclose(ours, theirs.step(noise, t, x).prev_sample, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_moving_there_and_back_is_the_identity(prediction: str) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(10)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(schedule.move(x, x, 401, 401), x, atol=1e-6)
    # With the same noise both ways, epsilon steps undo each other.
    if prediction == "epsilon":
        there = schedule.move(x, x, CLEAN, 401)
        assert torch.allclose(schedule.move(there, x, 401, CLEAN), x, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("start", "end"), [(981, 961), (1, CLEAN), (21, 981), (501, 501)])
def test_unmove_undoes_move(prediction: str, start: int, end: int) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(50)
    x, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    there = schedule.move(x, noise, start, end)
    assert torch.allclose(schedule.unmove(there, noise, start, end), x, atol=1e-9)


def test_a_step_between_equal_levels_changes_nothing() -> None:
    """The last step of a schedule that ends at timestep 0, as the reference VCT's does."""
    backbone = tiny_backbone()
    schedule = Schedule(leading_timesteps(50, offset=0), backbone.alphas, float(backbone.alphas[0]))
    x, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert schedule.timesteps[-1] == 0
    assert torch.allclose(schedule.move(x, noise, 0, CLEAN), x, atol=1e-5)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [2, 10, 50])
def test_spacings_are_those_of_diffusers(spacing: str, steps: int) -> None:
    theirs = DDIMScheduler(timestep_spacing=spacing, steps_offset=1)
    theirs.set_timesteps(steps)
    assert spaced_timesteps(spacing, steps) == tuple(theirs.timesteps.tolist())  # type: ignore[arg-type]  # a Spacing


@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 7, 12, 999, 1000])
def test_every_spacing_begins_with_noise_and_descends(spacing: str, steps: int) -> None:
    timesteps = spaced_timesteps(spacing, steps)  # type: ignore[arg-type]  # a Spacing
    assert timesteps[0] == 999 and len(set(timesteps)) == steps
    assert list(timesteps) == sorted(timesteps, reverse=True)
    with pytest.raises(ValueError, match="accepted: 1 to 1000"):
        spaced_timesteps(spacing, 1001)  # type: ignore[arg-type]  # a Spacing


def test_a_schedule_visits_what_another_does(backbone: UNetBackbone) -> None:
    long, short = backbone.schedule(999), backbone.schedule(50)
    assert long.visiting(short).timesteps == long.timesteps
    assert set(backbone.schedule(7).visiting(short).timesteps) > set(short.timesteps)
