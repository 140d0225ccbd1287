"""A frame as a finished edit writes it down, so that a replay draws the same windows."""

from __future__ import annotations

from dataclasses import dataclass

from locstyle.edit import checks
from locstyle.edit.fields import set_field

_DRAWS = "a list of regions, counted from 0, each once"


@dataclass(frozen=True)
class Framing:
    """A window of the photo that is denoised on its own.

    `box`: (x0, y0, x1, y1) in photo pixels, the last exclusive. `size`: the (height, width) it is
    scaled to. `draws`: the regions drawn in it, counted from 0.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    draws: tuple[int, ...]

    def __post_init__(self) -> None:
        box = _wholes(self.box, "box", 4, "[x0, y0, x1, y1] in photo pixels")
        if box[0] >= box[2] or box[1] >= box[3]:
            raise checks.refusal("box", list(box), "left < right, top < bottom")
        size = _wholes(self.size, "size", 2, "[height, width], each at least 1")
        draws = checks.sequence(self.draws, "draws", _DRAWS)
        set_field(self, "box", box)
        set_field(self, "size", tuple(max(1, side) for side in size))
        set_field(
            self,
            "draws",
            tuple(checks.whole(r, f"draws[{i}]", 0, 999) for i, r in enumerate(draws)),
        )
        if len(set(self.draws)) < max(1, len(self.draws)):
            raise checks.refusal("draws", list(self.draws), _DRAWS)


def _wholes(value: object, where: str, count: int, accepted: str) -> tuple[int, ...]:
    parts = checks.sequence(value, where, accepted)
    if len(parts) != count:
        raise checks.refusal(where, value, accepted)
    return tuple(checks.whole(part, f"{where}[{i}]", 0, 2**20) for i, part in enumerate(parts))
