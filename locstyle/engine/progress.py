"""What long work reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

Phase = Literal["invert", "pivot", "denoise", "check", "train", "segment", "write"]


@dataclass(frozen=True)
class Step:
    """One finished step of a phase.

    `index` counts from 1 to `total`. `loss` is set while training and pivoting. `preview` decodes
    the present latent when called, so nobody pays for a picture unasked; it is set while inverting,
    pivoting, denoising and checking.
    """

    phase: Phase
    index: int
    total: int
    loss: float | None = None
    preview: Callable[[], Image] | None = None


OnStep = Callable[[Step], None]
"""Called after every step; raising from it cancels the work, and everything is cleaned up."""


def ignore(step: Step) -> None:
    """The `OnStep` of a caller who wants no reports."""
