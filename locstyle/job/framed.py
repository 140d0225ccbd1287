"""Frames that a finished edit says and that today's rules would not make: who is drawn in which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from locstyle.edit import checks
from locstyle.errors import RecipeError
from locstyle.job.parts import Part, around
from locstyle.photo.canvas import Canvas

if TYPE_CHECKING:
    from locstyle.edit import Framing
    from locstyle.job.frames import Detail, Frame, Wish
    from locstyle.photo.boxes import Box

_ROOM = 4.0
"""How many times the pixels that `detail` allows a frame may have: its sides are filled up."""


class _Piece(NamedTuple):
    """What is drawn in one frame, whole: all parts of a group that are a region's."""

    group: int
    region: int
    box: Box


def framed(
    framings: Sequence[Framing],
    groups: Sequence[Sequence[Part]],
    detail: Detail,
    wishes: Sequence[Wish],
) -> Iterator[Frame]:
    """The frames that a finished edit was drawn in.

    A region's parts are drawn in the frame that holds them and is most like the window that they
    would get today.

    Raises:
        RecipeError: they are another photo's or other masks'.
    """
    for number, framing in enumerate(framings):
        _check(framing, detail, f"frames[{number}]")
    drawn = _shared_out(framings, groups, detail, wishes)
    for number, (framing, own) in enumerate(zip(framings, drawn, strict=True)):
        missing = sorted(set(framing.draws) - {piece.region for piece in own})
        if missing:
            raise RecipeError(
                f"draws region {missing[0]}, of which no part lies whole in {list(framing.box)!r} "
                "and is not drawn elsewhere; leave frames out to have them made anew",
                place=f"frames[{number}]",
            )
        canvas = Canvas.of(detail.size, framing.box, framing.size, detail.multiple)
        parts = [part for group in sorted({p.group for p in own}) for part in groups[group]]
        yield detail.frame(canvas, framing.draws, parts, wishes[framing.draws[0]].scale)


def _check(framing: Framing, detail: Detail, where: str) -> None:
    x0, y0, x1, y1 = framing.box
    height, width = detail.size
    if x1 > width or y1 > height:
        raise RecipeError(
            f"got {list(framing.box)!r}, which reaches outside the photo of {width} × {height} "
            "(width × height); leave frames out to have them made anew",
            place=f"{where}.box",
        )
    most = max(detail.working**2, (x1 - x0) * (y1 - y0) * checks.DETAILS[1] ** 2)
    if framing.size[0] * framing.size[1] > _ROOM * most:
        raise RecipeError(
            f"got {list(framing.size)!r}, finer than anything is drawn; leave frames out to have "
            "them made anew",
            place=f"{where}.size",
        )


def _shared_out(
    framings: Sequence[Framing],
    groups: Sequence[Sequence[Part]],
    detail: Detail,
    wishes: Sequence[Wish],
) -> list[list[_Piece]]:
    """What each frame draws."""
    drawn: list[list[_Piece]] = [[] for _ in framings]

    def unlike(number: int, piece: _Piece) -> tuple[int, bool]:
        """How far the frame is from the window that the piece's group would get; of equal ones,
        the one that has nothing of other groups yet."""
        framing = framings[number]
        shown = [part for part in groups[piece.group] if part.region in framing.draws]
        margin = max(wishes[part.region].margin for part in groups[piece.group])
        box = detail.canvas(around(shown), margin, wishes[framing.draws[0]].scale).box
        away = sum(abs(a - b) for a, b in zip(box, framing.box, strict=True))
        return away, any(other.group != piece.group for other in drawn[number])

    for piece in _pieces(groups):
        holding = [i for i, framing in enumerate(framings) if _holds(framing, piece)]
        if not holding:
            raise RecipeError(
                f"no frame that draws region {piece.region} holds all of its part at "
                f"{list(piece.box)!r}; leave frames out to have them made anew",
                place="frames",
            )
        drawn[min(holding, key=lambda number: unlike(number, piece))].append(piece)
    return drawn


def _pieces(groups: Sequence[Sequence[Part]]) -> Iterator[_Piece]:
    for index, group in enumerate(groups):
        for region in sorted({part.region for part in group}):
            yield _Piece(index, region, around([p for p in group if p.region == region]))


def _holds(framing: Framing, piece: _Piece) -> bool:
    (x0, y0, x1, y1), (left, top, right, bottom) = piece.box, framing.box
    is_inside = left <= x0 and top <= y0 and x1 <= right and y1 <= bottom
    return piece.region in framing.draws and is_inside
