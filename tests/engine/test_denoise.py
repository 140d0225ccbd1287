"""The loop: inversion comes back, chunks do not matter, numbers that stop being numbers stop it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from locstyle import (
    CLEAN,
    Branch,
    DenoiseError,
    Hold,
    Plan,
    Step,
    Text,
    Window,
    denoise,
    invert,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import tiny_scene


def plain(text: Text) -> Plan:
    return Plan((Branch("x", text),), (), lambda predictions, call: predictions["x"])


class Smooth:
    """The tiny backbone with a smooth network in place of its random one."""

    def __init__(self, backbone: UNetBackbone) -> None:
        self._backbone = backbone

    def __getattr__(self, name: str) -> object:
        return getattr(self._backbone, name)

    def predict(
        self, x: torch.Tensor, t: int, states: torch.Tensor, tiles: object = None
    ) -> torch.Tensor:
        return torch.sin(2 * x) * (0.5 + t / 2000)


def test_inverting_and_denoising_comes_back_the_better_the_finer(backbone: UNetBackbone) -> None:
    smooth = Smooth(backbone)
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    errors = []
    for steps in (10, 40, 160):
        schedule = backbone.schedule(steps)
        content = invert(smooth, latent, schedule, text=backbone.text(""))  # type: ignore[arg-type]
        start = content.at(schedule.noisiest)
        back = denoise(smooth, plain(backbone.text("")), schedule, start).latent  # type: ignore[arg-type]
        errors.append(float((back - latent).abs().mean()))
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2
    assert errors[2] < 0.03


@pytest.mark.parametrize("aligned", [False, True])
def test_inversion_is_lagged_unless_asked_otherwise(backbone: UNetBackbone, aligned: bool) -> None:
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    schedule, text = backbone.schedule(4), backbone.text("")
    with torch.no_grad():
        content = invert(backbone, latent, schedule, text=text, aligned=aligned)
        low, high = schedule.timesteps[-2], schedule.timesteps[-3]
        x = content.at(low)
        noise = backbone.predict(x, low if aligned else high, text.states)
    assert torch.allclose(content.at(high), schedule.move(x, noise, low, high), atol=1e-6)


def test_a_row_that_replays_a_trajectory_sees_its_latents(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None])
    assert torch.equal(scene.content.at(CLEAN), scene.latent)
    seen = []

    class Spy:
        def __getattr__(self, name: str) -> object:
            return getattr(backbone, name)

        def predict(
            self, x: torch.Tensor, t: int, states: torch.Tensor, tiles: object = None
        ) -> torch.Tensor:
            seen.append((t, x.clone()))
            return backbone.predict(x, t, states)

    plan = Plan(
        (Branch("source", scene.empty, latent=scene.content), Branch("x", scene.text)),
        (),
        lambda predictions, call: predictions["x"],
    )
    with torch.no_grad():
        denoise(Spy(), plan, scene.schedule, scene.content.at(scene.schedule.noisiest))  # type: ignore[arg-type]
    for t, x in seen:
        assert torch.equal(x[:1], scene.content.at(t))


def test_rows_are_counted_and_sleep_outside_their_window(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None])
    plan = Plan(
        (Branch("early", scene.empty, window=Window(0, 0.5)), Branch("x", scene.text)),
        (),
        lambda predictions, call: predictions["x"],
    )
    start = scene.content.at(scene.schedule.noisiest)
    with torch.no_grad():
        assert denoise(backbone, plan, scene.schedule, start).rows == 4 + 2


def test_what_is_held_follows_the_trajectory_exactly(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None])
    start = scene.content.at(scene.schedule.noisiest)
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., 4:] = 1
    plan = replace(plain(scene.text), hold=Hold(weight, scene.content))
    with torch.no_grad():
        held = denoise(backbone, plan, scene.schedule, start).latent
    assert torch.equal(held[..., 4:], scene.latent[..., 4:])
    assert not torch.allclose(held[..., :4], scene.latent[..., :4])


@pytest.mark.parametrize("phase", ["inversion", "denoising"])
def test_a_latent_that_is_not_finite_names_phase_and_step(
    backbone: UNetBackbone, phase: str
) -> None:
    schedule = backbone.schedule(4)
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    bad = latent.clone()
    bad[0, 0, 0, 0] = float("nan")
    with torch.no_grad(), pytest.raises(DenoiseError, match=f"{phase}, step 1 of 4"):
        if phase == "inversion":
            invert(backbone, bad, schedule, text=backbone.text(""))
        else:
            denoise(backbone, plain(backbone.text("")), schedule, bad)


def test_progress_is_reported_and_raising_from_it_cancels(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None])
    start = scene.content.at(scene.schedule.noisiest)
    steps: list[Step] = []

    def stop(step: Step) -> None:
        steps.append(step)
        if step.index == 2:
            raise InterruptedError

    with torch.no_grad(), pytest.raises(InterruptedError):
        denoise(backbone, plain(scene.text), scene.schedule, start, on_step=stop)
    assert [(s.phase, s.index, s.total) for s in steps] == [("denoise", 1, 4), ("denoise", 2, 4)]
    preview = steps[-1].preview
    assert preview is not None
    assert preview().size == (32, 32)
    assert not [m for m in backbone.unet.modules() if m._forward_hooks]


def test_a_timestep_off_the_trajectory_is_an_error(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None])
    with pytest.raises(ValueError, match="timestep 17 is not on this trajectory"):
        scene.content.at(17)
