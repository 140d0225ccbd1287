"""Inversion: the latents a photo passes through on its way to noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.engine.schedule import CLEAN, Schedule
from locstyle.errors import DenoiseError

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone, Text


@dataclass(frozen=True)
class Inversion:
    """How a fusion wants the photo inverted.

    `steps`: None for the edit's own schedule, or a number; the reference DiffStyler takes 999 and
    samples 50. `aligned`: evaluate the network at the latent's own timestep; the default is the
    "lagged" form of the reference, which evaluates the latent of the level below at the timestep
    above.
    """

    steps: int | None = None
    aligned: bool = False


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The latent [1, channels, h, w] at every timestep of an inversion, and at `CLEAN`."""

    latents: Mapping[int, Tensor]

    def at(self, t: int) -> Tensor:
        """The latent at timestep `t`.

        Raises:
            ValueError: the inversion's schedule did not visit `t`.
        """
        try:
            return self.latents[t]
        except KeyError:
            raise ValueError(
                f"timestep {t} is not on this trajectory of {len(self.latents)} points; "
                "invert with a schedule that visits it"
            ) from None


def invert(
    backbone: Backbone,
    latent: Tensor,
    schedule: Schedule,
    *,
    text: Text,
    aligned: bool = False,
    on_step: OnStep = ignore,
) -> Trajectory:
    """DDIM inversion of a clean `latent` [1, channels, h, w] without guidance, arXiv:2010.02502
    §4.3.

    Raises:
        DenoiseError: a latent is not finite; names the step.
    """
    latents = {CLEAN: latent}
    x, level = latent, CLEAN
    for index, t in enumerate(reversed(schedule.timesteps), start=1):
        seen_as = max(level, 0) if aligned else t
        x = schedule.move(x, backbone.predict(x, seen_as, text.states), level, t)
        require_finite(x, "inversion", index, schedule.steps)
        latents[t] = x
        level = t
        on_step(Step("invert", index, schedule.steps, preview=backbone.preview(x)))
    return Trajectory(latents)


def require_finite(x: Tensor, phase: str, step: int, steps: int) -> None:
    """Stop where numbers stop being numbers, instead of decoding a black picture at the end."""
    if not bool(x.isfinite().all()):
        raise DenoiseError(
            f"{phase}, step {step} of {steps}: the latent is not finite; lower the guidance or a "
            "style's strength, or run in float32 (--dtype float32)"
        )
