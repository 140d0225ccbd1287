"""The one loop that runs a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from locstyle.engine.backbone import Backbone, Text
from locstyle.engine.intervene import Attachment, Call, Row
from locstyle.engine.plan import Branch, Plan
from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.engine.schedule import Schedule
from locstyle.engine.solvers import Aim, Leg, Solver, ddim
from locstyle.engine.trajectory import require_finite


@dataclass(frozen=True, eq=False)
class Denoised:
    """The clean latent [1, channels, h, w] and how many rows the network evaluated for it."""

    latent: Tensor
    rows: int


def denoise(
    backbone: Backbone,
    plan: Plan,
    schedule: Schedule,
    start: Tensor,
    *,
    solver: Solver = ddim,
    max_rows: int | None = None,
    on_step: OnStep = ignore,
) -> Denoised:
    """Run `plan` from the latent `start` [1, channels, h, w] at the schedule's noisiest point.

    `solver` decides how the latent steps; what a trajectory gives is as it was inverted. `max_rows`
    bounds how many rows run in one forward pass; the result does not depend on it. Donor rows go
    first, and what others take from them is kept for one step.

    Raises:
        DenoiseError: the latent is not finite after a step; names the step.
        SiteError: an intervention does not fit the backbone.
    """
    x, rows = start, 0
    before: Aim | None = None
    with backbone.attach(plan.interventions) as attachment:
        for index, t in enumerate(schedule.timesteps):
            call = Call(schedule.fraction(t), t, (), (x.shape[-2], x.shape[-1]))
            active = _active(plan, call)
            predictions: dict[str, Tensor] = {}
            for chunk in _chunks(active, max_rows):
                predictions |= _predict(
                    backbone, attachment, replace(call, rows=_rows(chunk)), chunk, x
                )
            rows += len(active)
            prediction, end = plan.compose(predictions, call), schedule.after(index)
            aim = Aim(schedule.clean(x, prediction, t), t)
            prediction = solver(schedule, Leg(x, prediction, aim, before, end))
            x, before = schedule.move(x, prediction, t, end), aim
            if plan.hold is not None:
                x = plan.hold.apply(x, end)
            require_finite(x, "denoising", index + 1, schedule.steps)
            on_step(Step("denoise", index + 1, schedule.steps, preview=backbone.preview(x)))
    return Denoised(x, rows)


def _active(plan: Plan, call: Call) -> list[Branch]:
    """The branches evaluated in this step, donors first."""
    active = [branch for branch in plan.branches if branch.window.holds(call.fraction)]
    return sorted(active, key=lambda branch: branch.name not in plan.donors)


def _chunks(branches: Sequence[Branch], size: int | None) -> list[Sequence[Branch]]:
    size = size or max(len(branches), 1)
    return [branches[start : start + size] for start in range(0, len(branches), size)]


def _rows(branches: Sequence[Branch]) -> tuple[Row, ...]:
    return tuple(Row(branch.name, branch.owner) for branch in branches)


def _predict(
    backbone: Backbone, attachment: Attachment, call: Call, branches: Sequence[Branch], x: Tensor
) -> dict[str, Tensor]:
    segments = max(len(branch.texts(call.t)) for branch in branches)
    attachment.call = replace(call, segments=segments)
    latents = torch.cat([b.latent.at(call.t).to(x) if b.latent else x for b in branches])
    states = torch.cat([_states(branch.texts(call.t), segments) for branch in branches])
    predictions = backbone.predict(latents, call.t, states)
    return {branch.name: predictions[i : i + 1] for i, branch in enumerate(branches)}


def _states(texts: tuple[Text, ...], segments: int) -> Tensor:
    """A row's text states [1, segments · tokens, dim]; a single text fills every segment."""
    texts = texts if len(texts) > 1 else texts * segments
    return torch.cat([text.states for text in texts], 1)
