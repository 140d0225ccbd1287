"""How long edits take here, learned from those that ran."""

from __future__ import annotations

from typing import Any  # a job

_HOLDS = 0.5  # share of what was known before that still counts


class Pace:
    """Seconds per step and working pixel; None until something ran."""

    def __init__(self) -> None:
        self._rate: dict[bool, float] = {}

    @property
    def is_known(self) -> bool:
        """Whether anything ran yet."""
        return bool(self._rate)

    def learn(self, job: Any, seconds: float) -> None:
        found = seconds / _work(job)
        before = self._rate.get(job.edit.quick, found)
        self._rate[job.edit.quick] = _HOLDS * before + (1 - _HOLDS) * found

    def seconds(self, job: Any) -> float | None:
        """How long a job may take; of a kind that never ran, as the other kind has it."""
        if not self._rate:
            return None
        rate = self._rate.get(job.edit.quick, next(iter(self._rate.values())))
        return round(rate * _work(job), 1)


def _work(job: Any) -> float:
    """Steps times working pixels, and something for what is done once."""
    pixels = sum(f.canvas.padded[0] * f.canvas.padded[1] for f in job.frames)
    return float((job.settled.steps * 4 + 2) * max(1, pixels))
