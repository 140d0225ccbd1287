"""How the edited latent steps: solvers correct a prediction, and `Schedule.move` takes the step.

Another solver is one more function of this form, named in `SOLVERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from locstyle.engine.schedule import CLEAN, Schedule
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
    """

    x: Tensor
    prediction: Tensor
    aim: Aim
    before: Aim | None
    end: int


Solver = Callable[[Schedule, Leg], Tensor]
"""The prediction to step with in place of the leg's own, in the form the schedule predicts."""


def ddim(schedule: Schedule, leg: Leg) -> Tensor:
    """The prediction as it is: DDIM, arXiv:2010.02502 eq. 12, first order."""
    return leg.prediction


def dpmpp_2m(schedule: Schedule, leg: Leg) -> Tensor:
    """DPM-Solver++(2M), arXiv:2211.01095 alg. 2: second order by the aim of the step before.

    Its step is DDIM's with the aim D = (1 + 1/2r) x_i - 1/2r x_{i-1}, r = h_{i-1} / h_i the ratio
    of the steps in λ = ln(α/σ). In the first step, at no signal (λ = -∞) and towards the clean
    latent (λ = ∞, or the end of what the model knows) it is first order, as DDIM.
    """
    if leg.before is None or leg.end == CLEAN:
        return leg.prediction
    last, now, then = (_half_log_snr(schedule, t) for t in (leg.before.t, leg.aim.t, leg.end))
    if not (math.isfinite(last) and math.isfinite(then) and last < now < then):
        return leg.prediction
    ratio = (now - last) / (then - now)
    aim = leg.aim.clean + (leg.aim.clean - leg.before.clean) / (2 * ratio)
    return schedule.prediction_of(leg.x, aim, leg.aim.t)


SOLVERS: Mapping[str, Solver] = {"ddim": ddim, "dpm++2m": dpmpp_2m}
"""Every solver by the name an edit gives it."""

STEPS: Mapping[str, int] = {"ddim": 20, "dpm++2m": 12}
"""How many steps a solver takes where nobody says."""


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
