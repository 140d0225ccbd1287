"""Solvers: the published steps, their order, and what they leave alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, LCMScheduler
from torch import Tensor

from locstyle import CLEAN, Branch, Hold, Plan, Trajectory, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.call import Call
from locstyle.engine.noise import Fresh
from locstyle.engine.schedule import Prediction, Schedule
from locstyle.engine.solvers import SOLVERS, Aim, Leg, ddim, dpmpp_2m, lcm
from locstyle.engine.trajectory import noised
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
        x, before = dpmpp_2m(schedule, Leg(x, prediction, aim, before, end)), aim
        y = theirs.step(torch.sin(y), t, y).prev_sample
        assert torch.allclose(x, y, atol=1e-4), t


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_first_step_and_the_one_to_the_clean_end_are_ddims(prediction: str) -> None:
    schedule = tiny_backbone(prediction=prediction).schedule(10)
    x, predicted = noise(), noise(1)
    before = Aim(noise(2), 501)
    aim = Aim(schedule.clean(x, predicted, 401), 401)
    for leg in (Leg(x, predicted, aim, None, 301), Leg(x, predicted, aim, before, CLEAN)):
        assert torch.equal(dpmpp_2m(schedule, leg), ddim(schedule, leg))
    leg = Leg(x, predicted, aim, before, 301)
    assert not torch.equal(dpmpp_2m(schedule, leg), ddim(schedule, leg))


def test_without_signal_the_step_is_ddims() -> None:
    """A schedule with zero terminal signal, arXiv:2305.08891, which only velocity can leave."""
    backbone = tiny_backbone(prediction="v_prediction")
    alphas = backbone.alphas.clone()
    alphas[901:] = 0
    schedule = replace(backbone.schedule(10), alphas=alphas)
    x, predicted = noise(), noise(1)
    aim = Aim(schedule.clean(x, predicted, 801), 801)
    leg = Leg(x, predicted, aim, Aim(noise(2), 901), 701)
    assert torch.equal(dpmpp_2m(schedule, leg), ddim(schedule, leg))
    done = denoise(Gaussian(backbone), plain(backbone), schedule, x, solver=dpmpp_2m)  # type: ignore[arg-type]
    assert bool(done.latent.isfinite().all())


def test_ddim_moves_by_the_very_prediction(backbone: UNetBackbone) -> None:
    x, predicted, schedule = noise(1), noise(), backbone.schedule(10)
    leg = Leg(x, predicted, Aim(noise(2), 401), Aim(noise(3), 501), 301)
    assert torch.equal(ddim(schedule, leg), schedule.move(x, predicted, 401, 301))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 4, 6, 8])
def test_lcm_is_diffusers_own(
    prediction: Prediction, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timesteps, steps and end, on the tiny network, from the same noise."""
    backbone = tiny_backbone(prediction=prediction)
    theirs = LCMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
    )
    theirs.set_timesteps(steps)
    schedule = backbone.schedule(steps).spaced("lcm")
    assert list(schedule.timesteps) == theirs.timesteps.tolist()
    text, fresh = backbone.text(""), Fresh(7)
    with torch.no_grad():
        x = denoise(backbone, plain(backbone), schedule, noise(), solver=lcm, fresh=fresh).latent
        y, ends = noise(), iter(schedule.timesteps[1:])
        drawn = lambda *_, **__: fresh.at(next(ends), y)  # noqa: E731
        monkeypatch.setattr("diffusers.schedulers.scheduling_lcm.randn_tensor", drawn)
        for t in theirs.timesteps:
            y = theirs.step(backbone.predict(y, int(t), text.states), t, y).prev_sample
    assert torch.allclose(x, y, atol=1e-5)


def test_new_noise_is_of_its_seed_and_timestep() -> None:
    like = noise()
    assert torch.equal(Fresh(1).at(499, like), Fresh(1).at(499, like))
    assert not torch.equal(Fresh(1).at(499, like), Fresh(2).at(499, like))
    assert not torch.equal(Fresh(1).at(499, like), Fresh(1).at(259, like))


def test_a_photo_under_the_noise_of_lcm_stays_itself(backbone: UNetBackbone) -> None:
    """Where the network says the very photo, lcm passes through the photo's noised path."""
    schedule, photo = backbone.schedule(4).spaced("lcm"), noise(3)
    path = noised(photo, schedule, Fresh(5))

    def seen(_: Mapping[str, Tensor], call: Call) -> Tensor:
        return schedule.prediction_of(path.at(call.t), photo, call.t)

    visited: list[Tensor] = []

    def spied(schedule: Schedule, leg: Leg) -> Tensor:
        visited.append(leg.x)
        return lcm(schedule, leg)

    plan, start = replace(plain(backbone), compose=seen), path.at(schedule.noisiest)
    with torch.no_grad():
        done = denoise(backbone, plan, schedule, start, solver=spied, fresh=Fresh(5))
    for t, x in zip(schedule.timesteps, visited, strict=True):
        assert torch.allclose(x, path.at(t), atol=1e-4), t
    assert torch.allclose(done.latent, photo, atol=1e-4)


def test_there_are_not_more_steps_than_levels_consistency_is_learned_at(
    backbone: UNetBackbone,
) -> None:
    assert len(set(backbone.schedule(50).spaced("lcm").timesteps)) == 50
    with pytest.raises(ValueError, match="1 to 50"):
        backbone.schedule(51).spaced("lcm")


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
