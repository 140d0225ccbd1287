"""What long work reports while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


class Clock:
    """Wall seconds by phase; what is in no phase counts as `otherwise`, so that they add up."""

    def __init__(self, otherwise: str, spent: Mapping[str, float] | None = None) -> None:
        """`spent` is what phases took before this clock began."""
        self._seconds = dict(spent or {})
        self._phase, self._since = otherwise, time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts what happens inside the `with` as the phase `name`, and not as the one around."""
        around = self._turn(name)
        try:
            yield
        finally:
            self._turn(around)

    def read(self) -> dict[str, float]:
        """Seconds by phase up to now, to the millisecond."""
        self._turn(self._phase)
        return {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}

    def _turn(self, phase: str) -> str:
        now, last = time.perf_counter(), self._phase
        self._seconds[last] = self._seconds.pop(last, 0.0) + now - self._since
        self._phase, self._since = phase, now
        return last
