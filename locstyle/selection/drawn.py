"""What is drawn by hand: strokes of a brush and the inside of a lasso, in photo pixels."""

from __future__ import annotations

from dataclasses import dataclass

from locstyle.selection import words
from locstyle.selection.scanner import Scanner

MOST_POINTS = 20_000
"""Points of one source: hours of drawing, and more than a recipe in YAML may hold."""

FARTHEST = 1_000_000
"""Pixels from the photo's corner: far outside any photo, and still exact."""

BRUSH = (
    "brush:radius:x,y;x,y, or brush:radius~softness:…, x,y,r where the radius is r at a point, "
    "more strokes after '/', '!' erases"
)
LASSO = "lasso:x,y;x,y;x,y"


@dataclass(frozen=True)
class Stroke:
    """A line through `points` (x, y), or a dot, `radius` pixels to both sides.

    The outer `softness` of the radius, in [0, 1], is soft edge. `erases`: takes away from the
    strokes before it. `radii`: of each point, where a pen pressed here more and there less; between
    points the width changes evenly. Empty: `radius` is that of all.
    """

    radius: float
    points: tuple[tuple[float, float], ...]
    softness: float = 0.0
    erases: bool = False
    radii: tuple[float, ...] = ()

    def __str__(self) -> str:
        mark, soft = "!" * self.erases, f"~{words.number(self.softness)}" * (self.softness != 0)
        points = zip(self.points, self.radii or [self.radius] * len(self.points), strict=True)
        spots = (words.numbers((*at, *[r] * (r != self.radius))) for at, r in points)
        return f"{mark}{words.number(self.radius)}{soft}:{';'.join(spots)}"


@dataclass(frozen=True)
class Strokes:
    """Strokes, in the order they were drawn."""

    strokes: tuple[Stroke, ...]

    def __str__(self) -> str:
        return "brush:" + "/".join(map(str, self.strokes))


@dataclass(frozen=True)
class Lasso:
    """The inside of the closed outline through `points` (x, y); what it goes around twice is
    out."""

    points: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        return "lasso:" + ";".join(map(words.numbers, self.points))


def read_brush(reader: Scanner, form: str) -> Strokes:
    """What stands after `brush:`.

    Raises:
        SelectionError: as the grammar's; also for more than MOST_POINTS.
    """
    strokes = [_stroke(reader, form, MOST_POINTS)]
    while reader.take("/"):
        strokes.append(_stroke(reader, form, MOST_POINTS - sum(len(s.points) for s in strokes)))
    if all(stroke.erases for stroke in strokes):
        raise reader.error(f"only strokes that erase; draw one before them: {form}")
    return Strokes(tuple(strokes))


def read_lasso(reader: Scanner, form: str) -> Lasso:
    """What stands after `lasso:`; raises as `read_brush`."""
    points, _ = _points(reader, form, MOST_POINTS)
    if len(points) < 3:
        raise reader.error(f"a lasso has three points or more, got {len(points)}; give {form}")
    return Lasso(points)


def _stroke(reader: Scanner, form: str, most: int) -> Stroke:
    erases = reader.take("!")
    start = reader.at if reader.next else len(reader.text)
    radius = reader.number(form, low=0, high=FARTHEST)
    if radius == 0:
        raise reader.error(f"a radius of 0 draws nothing; give {form}", start)
    softness = reader.number(form, low=0, high=1) if reader.take("~") else 0.0
    reader.expect(":", form)
    points, radii = _points(reader, form, most, radius)
    has_own = any(one != radius for one in radii)
    return Stroke(radius, points, softness, erases, radii if has_own else ())


def _points(
    reader: Scanner, form: str, most: int, radius: float | None = None
) -> tuple[tuple[tuple[float, float], ...], tuple[float, ...]]:
    """Points, and the radius at each: `radius` where it says none; None takes no radii."""
    found: list[tuple[float, float]] = []
    radii: list[float] = []
    while True:
        if len(found) >= most:
            hint = "leave out some that lie on a line, or draw a mask file instead"
            raise reader.error(f"more than {MOST_POINTS} points; {hint}")
        x = reader.number(form, low=-FARTHEST, high=FARTHEST)
        reader.expect(",", form)
        found.append((x, reader.number(form, low=-FARTHEST, high=FARTHEST)))
        if radius is not None:
            has_own = reader.take(",")
            radii.append(reader.number(form, low=0, high=FARTHEST) if has_own else radius)
        if not reader.take(";"):
            return tuple(found), tuple(radii)
