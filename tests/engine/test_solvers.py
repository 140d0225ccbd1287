"""Solvers: the published steps, their order, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

from locstyle import CLEAN, Branch, Hold, Plan, Trajectory, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.schedule import Schedule
from locstyle.engine.solvers import SOLVERS, Aim, Leg, ddim, dpmpp_2m
from locstyle.testing import tiny_backbone

NAMES = sorted(SOLVERS)


class Gaussian:
    """The tiny backbone with the exact network of Gaussian data of spread 0.5."""

    def __init__(self, backbone: UNetBackbone) -> None:
        self._backbone = backbone

    def __getattr__(self, name: str) -> object:
        return getattr(self._backbone, name)

    def level(self, t: int) -> float:
        """The data's variance at timestep `t`, noise included."""
        signal = self._backbone.schedule(10).alpha(t)
        return signal * 0.25 + 1 - signal

    def predict(self, x: Tensor, t: int, states: Tensor, tiles: object = None) -> Tensor:
        signal = self._backbone.schedule(10).alpha(t)
        noise = (1 - signal) ** 0.5 * x / self.level(t)
        if self._backbone.prediction == "epsilon":
            return noise
        return signal**0.5 * noise - (1 - signal) ** 0.5 * (signal**0.5 * 0.25 * x / self.level(t))


def plain(backbone: UNetBackbone) -> Plan:
    return Plan((Branch("x", backbone.text("")),), (), lambda seen, call: seen["x"])


def noise(seed: int = 0) -> Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def error(model: Gaussian, backbone: UNetBackbone, steps: int, name: str) -> float:
    """How far the last but one latent is from where the exact path leads."""
    schedule = backbone.schedule(steps)
    first, last = schedule.noisiest, schedule.timesteps[-1]
    seen: list[Tensor] = []

    def spied(schedule: Schedule, leg: Leg) -> Tensor:
        seen.append(leg.x)
        return SOLVERS[name](schedule, leg)

    start = noise()
    denoise(model, plain(backbone), schedule, start, solver=spied)  # type: ignore[arg-type]
    exact = start * (model.level(last) / model.level(first)) ** 0.5
    return float((seen[-1] - exact).abs().mean())


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_two_m_is_of_second_order_and_ddim_of_first(prediction: str) -> None:
    backbone = tiny_backbone(prediction=prediction)
    model = Gaussian(backbone)
    shrinks = {}
    for name in ("ddim", "dpm++2m"):
        coarse, fine = (error(model, backbone, steps, name) for steps in (100, 400))
        shrinks[name] = coarse / fine
    # 4 and 16 in the limit; the last steps of this spacing are long in λ
    assert 3 < shrinks["ddim"] < 5 < 10 < shrinks["dpm++2m"]
    for steps in (10, 20, 50):
        assert error(model, backbone, steps, "dpm++2m") < error(model, backbone, steps, "ddim")


def test_two_m_is_diffusers_own(backbone: UNetBackbone) -> None:
    theirs = DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        solver_order=2,
        algorithm_type="dpmsolver++",
        timestep_spacing="leading",
        steps_offset=1,
        final_sigmas_type="sigma_min",
    )
    theirs.set_timesteps(10)
    schedule = replace(backbone.schedule(10), timesteps=tuple(theirs.timesteps.tolist()))
    x = y = noise()
    before = None
    for index, t in enumerate(schedule.timesteps[:-1]):  # their last step has another end
        prediction, end = torch.sin(x), schedule.after(index)
        aim = Aim(schedule.clean(x, prediction, t), t)
        x = schedule.move(x, dpmpp_2m(schedule, Leg(x, prediction, aim, before, end)), t, end)
        before = aim
        y = theirs.step(torch.sin(y), t, y).prev_sample
        assert torch.allclose(x, y, atol=1e-4), t


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_first_step_and_the_one_to_the_clean_end_are_ddims(prediction: str) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(10)
    x, predicted = noise(), noise(1)
    before = Aim(noise(2), 501)
    aim = Aim(schedule.clean(x, predicted, 401), 401)
    for leg in (Leg(x, predicted, aim, None, 301), Leg(x, predicted, aim, before, CLEAN)):
        assert torch.equal(dpmpp_2m(schedule, leg), predicted)
    assert not torch.equal(dpmpp_2m(schedule, Leg(x, predicted, aim, before, 301)), predicted)


def test_without_signal_the_step_is_ddims() -> None:
    """A schedule with zero terminal signal, arXiv:2305.08891, which only velocity can leave."""
    backbone = tiny_backbone(prediction="v_prediction")
    alphas = backbone.alphas.clone()
    alphas[901:] = 0
    schedule = replace(backbone.schedule(10), alphas=alphas)
    x, predicted = noise(), noise(1)
    aim = Aim(schedule.clean(x, predicted, 801), 801)
    leg = Leg(x, predicted, aim, Aim(noise(2), 901), 701)
    assert torch.equal(dpmpp_2m(schedule, leg), predicted)
    done = denoise(Gaussian(backbone), plain(backbone), schedule, x, solver=dpmpp_2m)  # type: ignore[arg-type]
    assert bool(done.latent.isfinite().all())


def test_ddim_gives_the_very_prediction(backbone: UNetBackbone) -> None:
    predicted = noise()
    leg = Leg(noise(1), predicted, Aim(noise(2), 401), Aim(noise(3), 501), 301)
    assert ddim(backbone.schedule(10), leg) is predicted


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_clean_latent_and_its_prediction_say_the_same(prediction: str) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(10)
    x, predicted = noise(), noise(1)
    for t in schedule.timesteps:
        clean = schedule.clean(x, predicted, t)
        assert torch.allclose(schedule.prediction_of(x, clean, t), predicted, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_held_follows_the_trajectory_under_every_solver(
    backbone: UNetBackbone, name: str
) -> None:
    schedule = backbone.schedule(5)
    path = Trajectory({t: noise(t + 2) for t in (*schedule.timesteps, CLEAN)})
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., :4] = 1
    plan = replace(plain(backbone), hold=Hold(weight, path))
    with torch.no_grad():
        done = denoise(backbone, plan, schedule, noise(), solver=SOLVERS[name]).latent
    assert torch.equal(done[..., :4], path.at(CLEAN)[..., :4])
    assert not torch.equal(done[..., 4:], path.at(CLEAN)[..., 4:])


@pytest.mark.parametrize("steps", [5, 10, 20, 50])
def test_windows_mean_the_same_noise_in_any_number_of_steps(
    backbone: UNetBackbone, steps: int
) -> None:
    schedule = backbone.schedule(steps)
    for index, t in enumerate(schedule.timesteps):
        assert schedule.fraction(t) == index / steps


def test_windows_mean_the_same_noise_with_other_spacings(backbone: UNetBackbone) -> None:
    even = backbone.schedule(10)
    uneven = replace(even, timesteps=(901, 861, 601, 401, 181, 81, 41, 21, 1))
    for t in set(even.timesteps) & set(uneven.timesteps):
        assert uneven.fraction(t) == even.fraction(t)
    fractions = [uneven.fraction(t) for t in uneven.timesteps]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] < 1
    assert sum(f < 0.5 for f in fractions) == 3  # two thirds of its steps lie in the later half
