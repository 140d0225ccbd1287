"""How far an errand is: the step, the share of the whole, the seconds left, now and then a
picture."""

from __future__ import annotations

import io
import time
from typing import Any  # plain data

import locstyle as ls

SHARES = {"invert": 0.25, "pivot": 0.1, "denoise": 0.65}
"""What a phase is of a whole edit, as far as anybody knows before."""

SIDE = 1024  # pixels of a picture's longer side
_DEAR = 0.15  # share of the time that pictures may take


class Headway:
    """Counts steps; `content` (height, width) is what of a step's picture shows the photo."""

    def __init__(self) -> None:
        self.content: tuple[int, int] | None = None
        self.pictures = 0
        self._phase: str | None = None
        self._index = self._total = 0
        self._shares: dict[str, float] = {}
        self._began: float | None = None
        self._skipped = 0.0  # share of the whole that was kept from before, and took no time
        self._spent, self._last = 0.0, 0.0

    def to_dict(self) -> dict[str, Any] | None:
        if self._phase is None:
            return None
        fraction = min(1.0, sum(self._shares.values()))
        return {
            "phase": self._phase,
            "index": self._index,
            "total": self._total,
            "fraction": round(fraction, 4),
            "seconds_left": self._left(fraction),
        }

    def enter(self, phase: str) -> None:
        self._phase, self._index, self._total = phase, 0, 0
        self._began = time.monotonic()

    def step(self, step: ls.Step) -> None:
        if self._began is None:
            self._began = time.monotonic()
        self._phase, self._index, self._total = step.phase, step.index, step.total
        share = SHARES.get(step.phase, 1.0)
        self._shares[step.phase] = share * step.index / max(1, step.total)
        if step.phase == "denoise":  # what was kept from before is not done again
            for kept in ("invert", "pivot"):
                if kept not in self._shares:
                    self._shares[kept] = SHARES[kept]
                    self._skipped += SHARES[kept]

    def picture(self, step: ls.Step) -> bytes | None:
        """A picture of the step as JPEG, where there is one and time for it."""
        now = time.monotonic()
        elapsed = now - (self._began or now)
        if step.preview is None or step.phase != "denoise":
            return None
        if self.pictures and self._spent > _DEAR * elapsed and step.index < step.total:
            return None
        shown = step.preview().convert("RGB")
        if self.content is not None:
            height, width = self.content
            shown = shown.crop((0, 0, width, height))
        shown.thumbnail((SIDE, SIDE))
        data = io.BytesIO()
        shown.save(data, "JPEG", quality=85)
        self._spent += time.monotonic() - now
        self.pictures += 1
        return data.getvalue()

    def _left(self, fraction: float) -> float | None:
        done = fraction - self._skipped
        if self._began is None or not done > 0.02:
            return None
        elapsed = time.monotonic() - self._began
        return round(elapsed / done * (1 - fraction), 1)
