"""The grammar of selections, as `docs/selections.md` publishes it: text in, tree out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from locstyle.errors import did_you_mean
from locstyle.selection import drawn, tree, words
from locstyle.selection.refinements import REFINEMENTS
from locstyle.selection.scanner import Scanner
from locstyle.selection.tree import Selection, Source

_MOST_PARTS = 100  # what no person types; a tree deeper than Python's stack could not be walked


def parse(text: str) -> Selection:
    """The selection a text means.

    Raises:
        SelectionError: where it cannot be read, and what is accepted there.
    """
    reader = _Reader(text)
    found = reader.selection()
    if reader.next:
        raise reader.surplus()
    return found


def parse_refinements(text: str) -> list[tuple[str, float | None]]:
    """Refinements alone, names and numbers: "grow:4|feather:8".

    Raises:
        SelectionError: as `parse`.
    """
    reader = _Reader(text)
    found = [reader.refinement()]
    while reader.take("|"):
        found.append(reader.refinement())
    if reader.next:
        raise reader.error(f"expected '|' and another refinement, got {reader.shown}")
    return found


class _Reader(Scanner):
    """One method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.parts = 0

    def selection(self) -> Selection:
        found = self.combined()
        while self.take("|"):
            self.count()
            found = tree.Refined(found, *self.refinement())
        return found

    def combined(self) -> Selection:
        found = self.intersected()
        while self.next and self.next in "+-":
            operator = cast(Literal["+", "-"], self.match("[+-]", ""))
            found = tree.Combined(operator, found, self.intersected())
        return found

    def intersected(self) -> Selection:
        found = self.negated()
        while self.take("&"):
            found = tree.Combined("&", found, self.negated())
        return found

    def negated(self) -> Selection:
        self.count()
        return tree.Inverted(self.negated()) if self.take("!") else self.primary()

    def primary(self) -> Selection:
        start = self.at if self.next else len(self.text)
        if not self.take("("):
            return self.source()
        found = self.selection()
        if not self.next:
            raise self.error("this parenthesis is never closed", start)
        if not self.take(")"):
            raise self.surplus()
        return found

    def source(self) -> Source:
        start = self.at
        if self.next == '"':
            return _file(self, "")
        if named := words.prefix(self.text, start):
            name = named[1]
            if name not in SOURCES:
                near = did_you_mean(name.lower(), SOURCES)
                hint = f"{near.rstrip('?')}? " if near.endswith("?") else f"{near}; "
                raise self.error(
                    f"no source {name!r}; {hint}a file with a colon in its name is written file:…"
                )
            self.at = named.end()
            return SOURCES[name](self, FORMS[name])
        nothing = not self.next or self.next in "|)"
        if nothing or re.match(r"[-+&](\s|$)", self.text[self.at :]):
            raise self.error(f"expected a source, got {self.shown}; give {_SOME}")
        return _bare(self)

    def refinement(self) -> tuple[str, float | None]:
        start = self.at if self.next else len(self.text)
        name = self.match("[A-Za-z_]+", f"a refinement: {', '.join(REFINEMENTS)}")
        if name not in REFINEMENTS:
            near = did_you_mean(name.lower(), REFINEMENTS)
            raise self.error(f"no refinement {name!r}; {near}", start)
        rule = REFINEMENTS[name]
        form = name if rule.takes is None else f"{name}:{rule.takes}"
        if rule.takes is None and self.next == ":":
            raise self.error(f"{name!r} takes no number")
        if rule.takes is None or (rule.is_optional and self.next != ":"):
            return name, None
        self.expect(":", form)
        return name, self.number(form, low=rule.lowest, is_whole=rule.is_whole)

    def count(self) -> None:
        self.parts += 1
        if self.parts > _MOST_PARTS:
            raise self.error(f"more than {_MOST_PARTS} parts; draw a mask file instead")

    def surplus(self) -> Exception:
        """What is wrong where a selection should have ended."""
        if self.next == ")":
            return self.error("this parenthesis closes nothing")
        if self.next in words.OPERATORS:
            hint = "put parentheses around what it refines: (a|grow:4) + b"
            return self.error(f"a refinement takes all to its left; {hint}")
        return self.error(f"expected '+', '-', '&', '|' or the end, got {self.shown}")


_Read = Callable[[_Reader, str], Source]


def _points(reader: _Reader, form: str) -> Source:
    inside: list[tuple[float, ...]] = []
    outside: list[tuple[float, ...]] = []
    while True:
        (outside if reader.take("!") else inside).append(reader.numbers(2, form))
        if not reader.take(";"):
            break
    if not inside:
        raise reader.error(f"only points to leave out; give one inside, too: {form}")
    return tree.Points(tuple(inside), tuple(outside))  # type: ignore[arg-type]  # two numbers each


def _object(reader: _Reader, form: str) -> Source:
    boxes = [reader.numbers(4, form)]
    while reader.take(";"):
        boxes.append(reader.numbers(4, form))
    return tree.Object(tuple(boxes))  # type: ignore[arg-type]  # four numbers each


def _box(reader: _Reader, form: str) -> Source:
    x0, y0, x1, y1 = (int(number) for number in reader.numbers(4, form, is_whole=True))
    return tree.Box((x0, y0, x1, y1))


def _auto(reader: _Reader, form: str) -> Source:
    numbers = [int(reader.number(form, low=1, is_whole=True))]
    while reader.take(","):
        numbers.append(int(reader.number(form, low=1, is_whole=True)))
    return tree.Auto(tuple(numbers))


def _file(reader: _Reader, form: str) -> Source:
    if reader.next == '"':
        path = reader.quoted()
        return tree.File(path, reader.word(form) if reader.take("#") else None)
    start = reader.at
    path = reader.free(form)
    if not (split := words.NUMBERED.search(path)):
        return tree.File(path)
    reader.at = start + reader.text[start:].index(path) + split.end()
    return tree.File(path[: split.start()], reader.word(form))


def _bare(reader: _Reader) -> Source:
    start = reader.at
    found = reader.free(_SOME)
    if found == "all":
        return tree.All()
    if found == "rest":
        return tree.Rest()
    reader.at = start
    return _file(reader, FORMS["file"])


def _map(reader: _Reader, form: str) -> Source:
    if reader.next == '"':
        path = reader.quoted()
        reader.expect("#", form)
    else:
        start = reader.at
        path, mark, key = reader.free(form).rpartition("#")
        if not mark:
            raise reader.error(f"no colour after {key!r}; give {form}")
        path, reader.at = path.rstrip(), reader.at - len(key)
        if not path:
            raise reader.error(f"no file before '#'; give {form}", start)
    key = reader.match(r"[0-9A-Fa-f]{6}(?![\w.])|[0-9]{1,3}(?![\w.])", form)
    return tree.Map(path, f"#{key.lower()}" if len(key) == 6 else int(key))


def _color(reader: _Reader, form: str) -> Source:
    like: Any
    if reader.next == "#":
        like = reader.match(r"#[0-9A-Fa-f]{6}(?!\w)", f"six digits: {form}").lower()
    else:
        like = reader.numbers(2, form)
    tolerance = reader.number(form, low=0) if reader.take("~") else 20.0
    return tree.Color(like, tolerance)


def _light(reader: _Reader, form: str) -> Source:
    low = reader.number(form, low=0, high=1)
    reader.expect("..", form)
    return tree.Light(low, reader.number(form, low=low, high=1))


FORMS: Mapping[str, str] = {
    "point": "point:x,y and more after ';', with '!' for points to leave out",
    "object": "object:x0,y0,x1,y1",
    "box": "box:x0,y0,x1,y1 in whole pixels",
    "text": "text:words",
    "auto": "auto:3 or auto:1,4",
    "file": "file:sky.png, or file:masks.json#3",
    "alpha": "alpha:cutout.png",
    "map": "map:regions.png#ff0000 or map:regions.png#3",
    "scribble": "scribble:marks.png",
    "brush": drawn.BRUSH,
    "lasso": drawn.LASSO,
    "color": "color:#87ceeb~20 or color:x,y~20",
    "light": "light:0.6..1",
}
"""How each source with a name is written."""

SOURCES: Mapping[str, _Read] = {
    "point": _points,
    "object": _object,
    "box": _box,
    "text": lambda reader, form: tree.Words(reader.word(form)),
    "auto": _auto,
    "file": _file,
    "alpha": lambda reader, form: tree.Alpha(reader.word(form)),
    "map": _map,
    "scribble": lambda reader, form: tree.Scribble(reader.word(form)),
    "brush": drawn.read_brush,
    "lasso": drawn.read_lasso,
    "color": _color,
    "light": _light,
}
_SOME = f"a mask file, 'all', 'rest', or one of {', '.join(f'{name}:' for name in SOURCES)}"
