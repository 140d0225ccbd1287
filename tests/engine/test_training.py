"""The training loop: its loss, its timesteps, its seed, and what it does when things go wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import locstyle as ls
from locstyle.engine.training import learning_rate, noise_loss
from locstyle.engine.turns import Turns


def toy(prediction: str = "epsilon", bias: Tensor | None = None) -> SimpleNamespace:
    """A backbone whose prediction is a learnable multiple of its input; remembers its timesteps."""
    seen: list[int] = []

    def predict(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        seen.extend(t.tolist())
        return x * (0 if bias is None else bias)

    alphas = torch.linspace(0.999, 0.005, 1000, dtype=torch.float64)
    cpu = torch.device("cpu")
    return SimpleNamespace(
        predict=predict,
        alphas=alphas,
        prediction=prediction,
        dtype=torch.float32,
        device=cpu,
        seen=seen,
        turns=Turns(),
    )


def batch(rows: int = 4) -> tuple[Tensor, Tensor]:
    return torch.ones(rows, 4, 8, 8), torch.zeros(rows, 2, 3)


def fit(backbone: SimpleNamespace, parameter: Tensor, **settings: object) -> list[float]:
    training = ls.Training(**settings)  # type: ignore[arg-type]
    return ls.train(backbone, [parameter], draw=batch, training=training)


def new_parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(0.0))


def test_the_loss_is_the_error_against_the_noise() -> None:
    latents, states = batch(2)
    t = torch.tensor([100, 900])
    backbone = toy(bias=torch.tensor(0.5))
    drawn = torch.Generator().manual_seed(1)
    loss = noise_loss(backbone, latents, states, t, noise=drawn, training=ls.Training())
    epsilon = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    a = backbone.alphas[t].float().view(-1, 1, 1, 1)
    noisy = a.sqrt() * latents + (1 - a).sqrt() * epsilon
    assert torch.allclose(loss, (0.5 * noisy - epsilon).square().mean())


def test_a_v_predicting_network_learns_v() -> None:
    latents, states = batch(2)
    t = torch.tensor([100, 900])
    backbone = toy("v_prediction")
    drawn = torch.Generator().manual_seed(1)
    loss = noise_loss(backbone, latents, states, t, noise=drawn, training=ls.Training())
    epsilon = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    a = backbone.alphas[t].float().view(-1, 1, 1, 1)
    assert torch.allclose(loss, (a.sqrt() * epsilon - (1 - a).sqrt() * latents).square().mean())


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_min_snr_caps_the_weight_of_clean_latents(prediction: str) -> None:
    latents, states = batch(1)

    def ratio(t: int) -> tuple[float, float]:
        backbone = toy(prediction)
        times = torch.tensor([t])
        plain, weighted = (
            float(
                noise_loss(
                    backbone,
                    latents,
                    states,
                    times,
                    noise=ls.generator(0, "n"),
                    training=ls.Training(min_snr=gamma),
                )
            )
            for gamma in (None, 5.0)
        )
        alpha = float(backbone.alphas[t])
        return weighted / plain, alpha / (1 - alpha)

    for t in (1, 500, 999):
        found, snr = ratio(t)
        whole = snr + 1 if prediction == "v_prediction" else snr
        assert found == pytest.approx(min(snr, 5.0) / whole, rel=1e-4)


def test_stratified_timesteps_cover_the_schedule_evenly() -> None:
    backbone, parameter = toy(bias=(p := new_parameter())), p
    fit(backbone, parameter, steps=20, stratified=True)
    times = torch.tensor(backbone.seen).view(20, 4)
    assert ((times // 250) == torch.arange(4)).all()


def test_uniform_timesteps_stay_in_the_schedule() -> None:
    backbone, parameter = toy(bias=(p := new_parameter())), p
    fit(backbone, parameter, steps=100)
    assert 0 <= min(backbone.seen) < 50 and 950 < max(backbone.seen) <= 999


def test_training_lowers_the_loss() -> None:
    parameter = new_parameter()
    losses = fit(toy(bias=parameter), parameter, steps=60, lr=0.05, stratified=True)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    def run(seed: int) -> tuple[list[float], float]:
        torch.manual_seed(seed + 100)  # the global generator plays no part
        parameter = new_parameter()
        return fit(toy(bias=parameter), parameter, steps=5, seed=seed), float(parameter.detach())

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_purposes_have_generators_of_their_own() -> None:
    one, again, other, seed = (
        torch.rand(3, generator=ls.generator(*of)).tolist()
        for of in ((0, "noise"), (0, "noise"), (0, "time"), (1, "noise"))
    )
    assert one == again and one != other and one != seed


def test_the_learning_rate_rises_and_falls() -> None:
    training = ls.Training(steps=100, lr=1.0, warmup=10, decay=0.8)
    rates = [learning_rate(training, index) for index in range(1, 101)]
    assert rates[0] == pytest.approx(0.1) and rates.index(max(rates)) == 9
    assert rates[-1] == pytest.approx(0.2)
    assert learning_rate(ls.Training(steps=1, lr=0.5), 1) == 0.5


def test_a_loss_that_is_not_finite_stops_and_names_the_step() -> None:
    parameter = torch.nn.Parameter(torch.tensor(float("inf")))
    with pytest.raises(ls.DenoiseError, match="step 1 of 7"):
        fit(toy(bias=parameter), parameter, steps=7)


def test_every_step_is_reported_and_raising_stops() -> None:
    parameter, steps = new_parameter(), []

    def stop(step: ls.Step) -> None:
        steps.append(step)
        if step.index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ls.train(
            toy(bias=parameter),
            [parameter],
            draw=batch,
            training=ls.Training(steps=9),
            on_step=stop,
        )
    assert [(s.phase, s.index, s.total) for s in steps] == [("train", i, 9) for i in (1, 2, 3)]
    assert all(s.loss is not None and s.loss > 0 for s in steps)


def test_training_works_inside_inference_mode() -> None:
    parameter = new_parameter()
    with torch.inference_mode():
        fit(toy(bias=parameter), parameter, steps=2, lr=0.1)
    assert float(parameter.detach()) != 0


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"decay": 1.5},
        {"min_snr": 0.0},
        {"clean_l1": -1.0},
    ],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ls.StyleError, match="training: "):
        ls.Training(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("space", ["latent", "pixel"])
def test_the_clean_distance_is_that_of_the_picture_the_prediction_implies(
    prediction: str, space: str
) -> None:
    latents, states = batch(2)
    t = torch.tensor([100, 900])
    backbone = toy(prediction, bias=torch.tensor(0.5))
    backbone.decode = lambda x: x.square()
    plain, more = (
        noise_loss(
            backbone,
            latents,
            states,
            t,
            noise=ls.generator(0, "n"),
            training=ls.Training(clean_l1=weight, clean_space=space),  # type: ignore[arg-type]
        )
        for weight in (0.0, 0.25)
    )
    a = backbone.alphas[t].float().view(-1, 1, 1, 1)
    epsilon = torch.randn(latents.shape, generator=ls.generator(0, "n"))
    noisy = a.sqrt() * latents + (1 - a).sqrt() * epsilon
    # The clean picture is where a whole step to level 1 leads.
    schedule = ls.Schedule((0,), torch.tensor([0.0]), 1.0, prediction)  # type: ignore[arg-type]
    clean = torch.cat(
        [
            ls.Schedule((0,), level.view(1), 1.0, schedule.prediction).move(x, 0.5 * x, 0, ls.CLEAN)
            for level, x in zip(a, noisy[:, None], strict=True)
        ]
    )
    apart = clean - latents if space == "latent" else clean.square() - latents.square()
    assert float(more - plain) == pytest.approx(0.25 * float(apart.abs().mean()), rel=1e-4)


class Drawn:
    """Batches that differ, from a generator that must be kept, too."""

    def __init__(self) -> None:
        self.dice = ls.generator(0, "data")

    def __call__(self) -> tuple[Tensor, Tensor]:
        return torch.randn(4, 4, 8, 8, generator=self.dice), torch.zeros(4, 2, 3)


def run_with(path: Path | None, until: int | None = None, seed: int = 0) -> tuple[list[float], Any]:
    """A training of 20 steps that is stopped after `until`; its losses and its parameter."""
    parameter, drawn = new_parameter(), Drawn()

    def stop(step: ls.Step) -> None:
        if step.index == until:
            raise KeyboardInterrupt

    losses = ls.train(
        toy(bias=parameter),
        [parameter],
        draw=drawn,
        training=ls.Training(steps=20, lr=0.05, decay=0.5, seed=seed),
        keeper=None if path is None else replace(ls.Bookmark.of(path, "it", seed), every=4),
        dice=(drawn.dice,),
        on_step=stop,
    )
    return losses, parameter.detach()


@pytest.mark.parametrize("until", [4, 7, 19])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path, until: int) -> None:
    bookmark = tmp_path / "it.resume"
    with pytest.raises(KeyboardInterrupt):
        run_with(bookmark, until)
    losses, parameter = run_with(bookmark)
    whole, wanted = run_with(None)
    assert losses == whole and torch.equal(parameter, wanted)


def test_only_the_steps_after_the_bookmark_are_run_again(tmp_path: Path) -> None:
    bookmark, seen = tmp_path / "it.resume", []
    with pytest.raises(KeyboardInterrupt):
        run_with(bookmark, 10)
    parameter = new_parameter()
    ls.train(
        toy(bias=parameter),
        [parameter],
        draw=batch,
        training=ls.Training(steps=20),
        keeper=ls.Bookmark.of(bookmark, "it", 0),
        dice=(Drawn().dice,),
        on_step=lambda step: seen.append(step.index),
    )
    assert seen == list(range(9, 21))


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    bookmark = tmp_path / "it.resume"
    first = run_with(bookmark)
    assert run_with(bookmark, until=1) == first  # would be stopped at its first step


def test_a_bookmark_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    bookmark = tmp_path / "it.resume"
    run_with(bookmark)
    with pytest.raises(ls.StyleError, match="the progress of another training"):
        run_with(bookmark, seed=1)
    bookmark.write_bytes(bookmark.read_bytes()[:40])
    with pytest.raises(ls.StyleError, match="not readable as a training's progress"):
        run_with(bookmark)
    assert [path.name for path in tmp_path.iterdir()] == ["it.resume"]
