"""How the edited latent steps.

Another solver is one more function of this form, named in `SOLVERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from locstyle.engine.noise import Fresh
from locstyle.engine.schedule import CLEAN, Schedule, Spacing
from locstyle.errors import RecipeError, did_you_mean


@dataclass(frozen=True, eq=False)
class Aim:
    """The clean latent that a prediction made at timestep `t` leads to."""

    clean: Tensor
    t: int


@dataclass(frozen=True, eq=False)
class Leg:
    """One step of the latent `x` to timestep `end`; tensors are [rows, channels, h, w].

    `aim` is what `prediction` leads to, `before` the aim of the step before, None in the first.
    `fresh`: where new noise comes from.
    """

    x: Tensor
    prediction: Tensor
    aim: Aim
    before: Aim | None
    end: int
    fresh: Fresh = field(default_factory=Fresh)

    def moved(self, schedule: Schedule, prediction: Tensor) -> Tensor:
        """The latent at the end, by this prediction in place of the leg's own."""
        return schedule.move(self.x, prediction, self.aim.t, self.end)


Solver = Callable[[Schedule, Leg], Tensor]
"""The latent at the end of a leg."""


def ddim(schedule: Schedule, leg: Leg) -> Tensor:
    """By the prediction as it is: DDIM, arXiv:2010.02502 eq. 12, first order."""
    return leg.moved(schedule, leg.prediction)


def dpmpp_2m(schedule: Schedule, leg: Leg) -> Tensor:
    """DPM-Solver++(2M), arXiv:2211.01095 alg. 2: second order by the aim of the step before.

    Its step is DDIM's with the aim D = (1 + 1/2r) x_i - 1/2r x_{i-1}, r = h_{i-1} / h_i the ratio
    of the steps in λ = ln(α/σ). In the first step, at no signal (λ = -∞) and towards the clean
    latent (λ = ∞, or the end of what the model knows) it is first order, as DDIM.
    """
    if leg.before is None or leg.end == CLEAN:
        return leg.moved(schedule, leg.prediction)
    last, now, then = (_half_log_snr(schedule, t) for t in (leg.before.t, leg.aim.t, leg.end))
    if not (math.isfinite(last) and math.isfinite(then) and last < now < then):
        return leg.moved(schedule, leg.prediction)
    ratio = (now - last) / (then - now)
    aim = leg.aim.clean + (leg.aim.clean - leg.before.clean) / (2 * ratio)
    return leg.moved(schedule, schedule.prediction_of(leg.x, aim, leg.aim.t))


def lcm(schedule: Schedule, leg: Leg) -> Tensor:
    """Multistep consistency sampling, arXiv:2310.04378 alg. 3: to the clean latent, and from there
    back under new noise.

    For networks distilled to say in one step where a path ends; others come out blurred. The
    boundary condition is that of `diffusers`' LCMScheduler: timesteps scaled by 10, σ_data 0.5.
    """
    time = _BOUNDARY_SCALE * leg.aim.t
    spread = (time**2 + _DATA_SPREAD**2) ** 0.5
    clean = (time / spread) * leg.aim.clean + (_DATA_SPREAD / spread) ** 2 * leg.x
    if leg.end == CLEAN:
        return clean
    signal = schedule.alpha(leg.end)
    return signal**0.5 * clean + (1 - signal) ** 0.5 * leg.fresh.at(leg.end, leg.x)


_BOUNDARY_SCALE, _DATA_SPREAD = 10.0, 0.5

SOLVERS: Mapping[str, Solver] = {"ddim": ddim, "dpm++2m": dpmpp_2m, "lcm": lcm}
"""Every solver by the name an edit gives it."""

STEPS: Mapping[str, int] = {"ddim": 20, "dpm++2m": 12, "lcm": 8}
"""How many steps a solver takes where nobody says."""

SPACINGS: Mapping[str, Spacing] = {"lcm": "lcm"}
"""How a solver's timesteps are spaced, where not as the checkpoint says."""

RENOISING = frozenset({"lcm"})
"""Solvers that come to each timestep by new noise. No path leads back through it, so what they edit
is not inverted but put under that very noise: `trajectory.noised`."""


@dataclass(frozen=True)
class Sampling:
    """How a fusion wants the edit denoised where the edit does not say.

    `solver`: a name in `SOLVERS`. `steps`: None for as many as the solver usually takes.
    """

    solver: str = "dpm++2m"
    steps: int | None = None

    def asked(self, solver: str | None, steps: int | None) -> tuple[str, int]:
        """Solver and steps as asked for, else these; another solver takes its own steps.

        Raises:
            RecipeError: no such solver.
        """
        chosen = self.solver if solver is None else solver
        if chosen not in SOLVERS:
            raise RecipeError(f"got {chosen!r}; {did_you_mean(chosen, SOLVERS)}", place="solver")
        if steps is None and chosen == self.solver:
            steps = self.steps
        return chosen, STEPS[chosen] if steps is None else steps


def _half_log_snr(schedule: Schedule, t: int) -> float:
    """λ = ln(α/σ) = ½ ln(signal / noise) of timestep `t`; -∞ without signal, ∞ without noise."""
    signal = schedule.alpha(t)
    if not 0 < signal < 1:
        return -math.inf if signal <= 0 else math.inf
    return 0.5 * math.log(signal / (1 - signal))
