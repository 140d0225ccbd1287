"""Time points of a diffusion and the one deterministic step between any two of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

LCM_LEVELS = 50
"""How many levels of the schedule consistency models are distilled at."""

CLEAN = -1
"""The timestep name of the clean latent: the point before the first noise level."""

Prediction = Literal["epsilon", "v_prediction"]
Spacing = Literal["leading", "trailing", "linspace", "lcm"]


@dataclass(frozen=True)
class Schedule:
    """The noise levels one run visits.

    `timesteps` descend from the noisiest to the cleanest (981, 961, …, 1 for 50 steps); after the
    last comes `CLEAN`. `alphas` is the cumulative product of alphas, float64 [train steps]; the
    last is 0 where the checkpoint has zero terminal SNR (arXiv:2305.08891), which needs
    v-prediction.
    `final_alpha` is the level of the clean latent: `alphas[0]` where the checkpoint's scheduler
    says `set_alpha_to_one=False` (Stable Diffusion), else 1.
    """

    timesteps: tuple[int, ...]
    alphas: Tensor
    final_alpha: float
    prediction: Prediction = "epsilon"

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    @property
    def noisiest(self) -> int:
        return self.timesteps[0]

    def visiting(self, other: Schedule) -> Schedule:
        """The same that also visits every timestep of another."""
        both = sorted({*self.timesteps, *other.timesteps}, reverse=True)
        return replace(self, timesteps=tuple(both))

    def spaced(self, spacing: Spacing | None) -> Schedule:
        """As many steps, spaced otherwise; None: as they are.

        Raises:
            ValueError: there are not so many.
        """
        if spacing is None:
            return self
        found = spaced_timesteps(spacing, self.steps, train_steps=len(self.alphas))
        return replace(self, timesteps=found)

    def alpha(self, t: int) -> float:
        """The signal level of timestep `t`, in [0, 1]."""
        return self.final_alpha if t == CLEAN else float(self.alphas[t])

    def after(self, index: int) -> int:
        """The timestep that step `index` (0-based) arrives at: the next cleaner one, or `CLEAN`."""
        return self.timesteps[index + 1] if index + 1 < self.steps else CLEAN

    def fraction(self, t: int) -> float:
        """How much of the schedule lies behind timestep `t`, in [0, 1): what windows mean.

        Counted in noise levels, (noisiest - t) / train steps, so that a window means the same part
        in 10 and in 50 steps, however they are spaced.
        """
        return (self.noisiest - t) / len(self.alphas)

    def move(self, x: Tensor, prediction: Tensor, start: int, end: int) -> Tensor:
        """The latent at `end` from the latent `x` at `start`; the same step inverts and denoises.

        Deterministic DDIM through the predicted clean latent, arXiv:2010.02502 eq. 12 with σ = 0.
        `x`, `prediction`: [rows, channels, h, w].
        """
        a, b = self.alpha(start), self.alpha(end)
        if self.prediction == "v_prediction":  # arXiv:2202.00512 appendix D
            noise = a**0.5 * prediction + (1 - a) ** 0.5 * x
        else:
            noise = prediction
        return b**0.5 * self.clean(x, prediction, start) + (1 - b) ** 0.5 * noise

    def clean(self, x: Tensor, prediction: Tensor, t: int) -> Tensor:
        """The clean latent that a prediction made of `x` at timestep `t` leads to."""
        a = self.alpha(t)
        if self.prediction == "v_prediction":
            return a**0.5 * x - (1 - a) ** 0.5 * prediction
        return (x - (1 - a) ** 0.5 * prediction) / a**0.5

    def prediction_of(self, x: Tensor, clean: Tensor, t: int) -> Tensor:
        """The prediction that leads from `x` at timestep `t` to this clean latent."""
        a = self.alpha(t)
        if self.prediction == "v_prediction":
            return (a**0.5 * x - clean) / (1 - a) ** 0.5
        return (x - a**0.5 * clean) / (1 - a) ** 0.5

    def unmove(self, x: Tensor, prediction: Tensor, start: int, end: int) -> Tensor:
        """The latent at `start` that `move` with this prediction takes to `x` at `end`.

        `move` is linear in the latent and the prediction, so this inverts it exactly.
        """
        a, b = self.alpha(start), self.alpha(end)
        if self.prediction == "v_prediction":
            kept = (a * b) ** 0.5 + ((1 - a) * (1 - b)) ** 0.5
            added = (a * (1 - b)) ** 0.5 - (b * (1 - a)) ** 0.5
        else:
            kept = (b / a) ** 0.5
            added = (1 - b) ** 0.5 - kept * (1 - a) ** 0.5
        return (x - added * prediction) / kept


def spaced_timesteps(
    spacing: Spacing, steps: int, *, train_steps: int = 1000, offset: int = 1
) -> tuple[int, ...]:
    """Descending timesteps as a checkpoint's scheduler spaces them, arXiv:2305.08891 table 2.

    "trailing" begins with the last level (999, 899, …, 99 for 10 steps), which a checkpoint of zero
    terminal SNR was trained to begin with; "linspace" visits both ends; `offset` is for "leading".
    "lcm" takes some of the `LCM_LEVELS` that consistency models are distilled at, arXiv:2310.04378
    §4.3, as `diffusers`' LCMScheduler does: 999, 759, 499, 259 for 4 steps.

    Raises:
        ValueError: there are not so many levels.
    """
    if spacing == "leading":
        return leading_timesteps(steps, train_steps=train_steps, offset=offset)
    if spacing == "lcm":
        return _lcm_timesteps(steps, train_steps)
    if not 1 <= steps <= train_steps:
        raise ValueError(f"steps is {steps}; accepted: 1 to {train_steps}")
    if spacing == "trailing":
        return tuple(round(train_steps - i * train_steps / steps) - 1 for i in range(steps))
    if steps == 1:
        return (train_steps - 1,)
    return tuple(round((train_steps - 1) * i / (steps - 1)) for i in reversed(range(steps)))


def leading_timesteps(steps: int, *, train_steps: int = 1000, offset: int = 1) -> tuple[int, ...]:
    """Descending timesteps with "leading" spacing, as Stable Diffusion's DDIM uses (981, 961, …,
    1).

    arXiv:2305.08891 table 2 names the spacing. 999 steps with offset 1 give 999, …, 1. *Deviation:*
    where `steps` does not divide `train_steps` the spacing is not rounded down to a whole number,
    so that every schedule starts near full noise.

    Raises:
        ValueError: `steps` is not in 1 … train_steps - offset.
    """
    if not 1 <= steps <= train_steps - offset:
        raise ValueError(f"steps is {steps}; accepted: 1 to {train_steps - offset}")
    return tuple(i * train_steps // steps + offset for i in reversed(range(steps)))


def _lcm_timesteps(steps: int, train_steps: int) -> tuple[int, ...]:
    if not 1 <= steps <= LCM_LEVELS:
        raise ValueError(f"steps is {steps}; accepted: 1 to {LCM_LEVELS}")
    apart = train_steps // LCM_LEVELS
    levels = [number * apart - 1 for number in range(LCM_LEVELS, 0, -1)]
    return tuple(levels[i * LCM_LEVELS // steps] for i in range(steps))
