"""What a fusion decides: which rows to denoise, who owns them, and how predictions become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

import torch
from torch import Tensor

from locstyle.engine.call import Call, Takes
from locstyle.engine.intervene import Intervention, takes_of
from locstyle.engine.trajectory import Trajectory

if TYPE_CHECKING:
    from locstyle.engine.backbone import Text


@dataclass(frozen=True)
class Window:
    """A part of the schedule, as fractions from its noisy start (0) to its clean end (1)."""

    start: float = 0.0
    stop: float = 1.0

    def holds(self, fraction: float) -> bool:
        return self.start <= fraction < self.stop


Timed = Union["Text", Mapping[int, "Text"]]
"""One text, or one per timestep."""


def said(text: Timed, t: int) -> Text:
    """The text at timestep `t`."""
    return text[t] if isinstance(text, Mapping) else text


@dataclass(frozen=True, eq=False)
class Branch:
    """One row of the batch.

    `text`: one text, or for a `MIXED` owner one per owner, unstyled first; each may change over the
    timesteps.
    `owner`: a region's index, 0 for unstyled, or `MIXED`. `latent`: None for the latent being
    edited, or the trajectory this row follows. `window`: the steps in which the row is evaluated
    at all.
    """

    name: str
    text: Timed | tuple[Timed, ...]
    owner: int = 0
    latent: Trajectory | None = None
    window: Window = field(default_factory=Window)

    def texts(self, t: int) -> tuple[Text, ...]:
        """The row's texts at timestep `t`."""
        texts = self.text if isinstance(self.text, tuple) else (self.text,)
        return tuple(said(text, t) for text in texts)


Predictions = Mapping[str, Tensor]
"""What the network said in a step, by the branch's name: raw predictions [1, channels, h, w]."""

Compose = Callable[[Predictions, Call], Tensor]
"""Turns the branches' predictions [1, channels, h, w] into the one that moves the latent."""


@dataclass(frozen=True, eq=False)
class Hold:
    """Where the latent follows a stored trajectory: `weight` [1, 1, h, w] in [0, 1], 1 =
    entirely."""

    weight: Tensor
    trajectory: Trajectory

    def apply(self, x: Tensor, t: int) -> Tensor:
        held = self.trajectory.at(t).to(x)
        return torch.where(self.weight == 1, held, self.weight * held + (1 - self.weight) * x)


@dataclass(frozen=True, eq=False)
class Plan:
    """Rows, interventions, the composition of predictions, and what is held to a trajectory.

    `start` is the latent to begin from; None for the photo's inverted one.
    """

    branches: tuple[Branch, ...]
    interventions: tuple[Intervention, ...]
    compose: Compose
    hold: Hold | None = None
    start: Tensor | None = None

    @property
    def takes(self) -> tuple[Takes, ...]:
        """What its interventions take from other rows."""
        return tuple(takes_of(intervention) for intervention in self.interventions)


def guide(negative: Tensor, positive: Tensor, scale: float | Tensor) -> Tensor:
    """Classifier-free guidance, arXiv:2207.12598 eq. 6 in the form u + w (c - u)."""
    return negative + scale * (positive - negative)


def guided(negative: str, positive: str, scale: float | Tensor) -> Compose:
    """Composes two rows by `guide`; a plan that has no negative row gets the positive alone."""

    def compose(predictions: Predictions, call: Call) -> Tensor:
        if negative not in predictions:
            return predictions[positive]
        return guide(predictions[negative], predictions[positive], scale)

    return compose
