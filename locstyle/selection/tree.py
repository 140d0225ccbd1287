"""What a selection is made of. `str()` of any part is canonical: it reads back to an equal part.

Points and boxes are (x, y) and (x0, y0, x1, y1) in photo pixels, the last row and column exclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from locstyle.selection import words
from locstyle.selection.drawn import Lasso, Strokes

Point = tuple[float, float]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class All:
    """The whole photo."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True)
class Rest:
    """What no region claims whose own selection has no `rest`."""

    def __str__(self) -> str:
        return "rest"


@dataclass(frozen=True)
class Points:
    """The object a segmenter finds under all points `inside` and under none `outside`."""

    inside: tuple[Point, ...]
    outside: tuple[Point, ...] = ()

    def __str__(self) -> str:
        points = [words.numbers(point) for point in self.inside]
        return "point:" + ";".join(points + [f"!{words.numbers(point)}" for point in self.outside])


@dataclass(frozen=True)
class Object:
    """The object a segmenter finds in a box; of several boxes, all their objects."""

    boxes: tuple[Corners, ...]

    def __str__(self) -> str:
        return "object:" + ";".join(map(words.numbers, self.boxes))


@dataclass(frozen=True)
class Box:
    """The rectangle itself; whole pixels."""

    corners: tuple[int, int, int, int]

    def __str__(self) -> str:
        return f"box:{words.numbers(self.corners)}"


@dataclass(frozen=True)
class Words:
    """What a segmenter finds for a text."""

    text: str

    def __str__(self) -> str:
        return f"text:{words.word(self.text)}"


@dataclass(frozen=True)
class Auto:
    """Segments by their numbers, from 1, as `locstyle segment` shows them."""

    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"auto:{words.numbers(self.numbers)}"


@dataclass(frozen=True)
class File:
    """A mask file; `pick` names one mask of a file that holds many, by number or label."""

    path: str
    pick: str | None = None

    def __str__(self) -> str:
        if self.pick is None:
            path = _quoted(self.path) if words.NUMBERED.search(self.path) else words.word(self.path)
        else:
            splits = words.NUMBERED.search(f"{self.path}#")
            clean = splits is not None and splits.start() == len(self.path)
            path = words.word(self.path) if clean else _quoted(self.path)
        text = path if self.pick is None else f"{path}#{words.word(self.pick)}"
        return text if words.is_bare(text) else f"file:{text}"


@dataclass(frozen=True)
class Alpha:
    """What a picture shows, by its alpha channel."""

    path: str

    def __str__(self) -> str:
        return f"alpha:{words.word(self.path)}"


@dataclass(frozen=True)
class Map:
    """One colour ("#ff0000") or palette index of a picture that shows many regions."""

    path: str
    key: str | int

    def __str__(self) -> str:
        return f"map:{words.word(self.path)}#{str(self.key).removeprefix('#')}"


@dataclass(frozen=True)
class Scribble:
    """The object a segmenter finds from strokes: white or green inside, black or red outside."""

    path: str

    def __str__(self) -> str:
        return f"scribble:{words.word(self.path)}"


@dataclass(frozen=True)
class Color:
    """Pixels within `tolerance` (CIELAB ΔE) of a colour ("#87ceeb") or of the photo at a point."""

    like: str | Point
    tolerance: float = 20.0

    def __str__(self) -> str:
        like = self.like if isinstance(self.like, str) else words.numbers(self.like)
        return f"color:{like}~{words.number(self.tolerance)}"


@dataclass(frozen=True)
class Light:
    """Pixels whose lightness lies from `low` to `high`, as shares of full lightness in [0, 1]."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"light:{words.number(self.low)}..{words.number(self.high)}"


@dataclass(frozen=True)
class Inverted:
    """What `of` leaves out."""

    of: Selection

    def __str__(self) -> str:
        return f"!{_grouped(self.of, 3)}"


@dataclass(frozen=True)
class Combined:
    """Both (+), the left without the right (-), or what both share (&)."""

    operator: Literal["+", "-", "&"]
    left: Selection
    right: Selection

    def __str__(self) -> str:
        own = _binding(self)
        left, right = _grouped(self.left, own), _grouped(self.right, own + 1)
        return f"{left} {self.operator} {right}"


@dataclass(frozen=True)
class Refined:
    """`of` after a refinement (a key of REFINEMENTS); `amount` None leaves its number to it."""

    of: Selection
    name: str
    amount: float | None = None

    def __str__(self) -> str:
        return f"{self.of}|{self.name}" + (
            "" if self.amount is None else f":{words.number(self.amount)}"
        )


Named = File | Alpha | Map | Scribble
Source = All | Rest | Points | Object | Box | Words | Auto | Named | Color | Light | Strokes | Lasso
Selection = Source | Inverted | Combined | Refined


def sources(selection: Selection) -> Iterator[Source]:
    """The sources of a selection, from left to right."""
    if isinstance(selection, Combined):
        yield from sources(selection.left)
        yield from sources(selection.right)
    elif isinstance(selection, Inverted | Refined):
        yield from sources(selection.of)
    else:
        yield selection


def paths(selection: Selection) -> list[str]:
    """The files a selection reads."""
    return [source.path for source in sources(selection) if isinstance(source, Named)]


def with_paths(selection: Selection, move: Callable[[str], str]) -> Selection:
    """The same selection, `move` applied to every path in it."""
    if isinstance(selection, Combined):
        left, right = with_paths(selection.left, move), with_paths(selection.right, move)
        return Combined(selection.operator, left, right)
    if isinstance(selection, Inverted | Refined):
        return replace(selection, of=with_paths(selection.of, move))
    if isinstance(selection, Named):
        return replace(selection, path=move(selection.path))
    return selection


def _binding(selection: Selection) -> int:
    """How tightly a part holds together; what binds less needs parentheses."""
    if isinstance(selection, Refined):
        return 0
    if isinstance(selection, Combined):
        return 2 if selection.operator == "&" else 1
    return 3


def _grouped(selection: Selection, binding: int) -> str:
    return f"({selection})" if _binding(selection) < binding else str(selection)


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
