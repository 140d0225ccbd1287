"""Where a free text ends in a selection, when it needs double quotes, and how numbers are
written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

OPERATORS = "+-&"
NUMBERED = re.compile(r"(?<=\.json)#|(?<=\.npy)#", re.IGNORECASE)
"""The `#` after files that hold many masks; in other names it is a character like any other."""
KEYWORDS = ("all", "rest")
_SPACED = re.compile(rf"\s[{re.escape(OPERATORS)}]\s")
_PREFIX = re.compile(r"([A-Za-z][A-Za-z_-]+)\s*:")  # one letter is a drive: C:\sky.png
_GLUED = re.compile(r"[-+&][\s!(]*[a-z]{3,}:")


class Span(NamedTuple):
    """Where a free text ends, and its parenthesis that nothing closes, if any."""

    end: int
    unclosed: int | None


def free_span(text: str, start: int) -> Span:
    """The free text from `start`: up to `|`, an operator between spaces, or a closing parenthesis.

    Parentheses in pairs belong to it, so that `sky (1).png` needs no quotes.
    """
    opened: list[int] = []
    for index in range(start, len(text)):
        character = text[index]
        if character == "(":
            opened.append(index)
        elif character == ")" and opened:
            opened.pop()
        elif character in "|)" or (not opened and _SPACED.match(text, index)):
            return Span(index, opened[0] if opened else None)
    return Span(len(text), opened[0] if opened else None)


def glued(text: str) -> int | None:
    """Where a free text seems to go on with an operator and another source, as in `a.png+box:…`."""
    found = _GLUED.search(text)
    return found.start() if found else None


def prefix(text: str, at: int) -> re.Match[str] | None:
    """The name of a source and its colon."""
    return _PREFIX.match(text, at)


def word(text: str) -> str:
    """`text` as the grammar reads it back: as it is where that is safe, else in double quotes."""
    safe = (
        text == text.strip()
        and not text.startswith('"')
        and free_span(f"{text} & ", 0) == (len(text), None)
        and glued(text) is None
    )
    return text if safe and text else '"{}"'.format(text.replace('"', '""'))


def is_bare(text: str) -> bool:
    """Whether a word may stand without the name of a source before it."""
    if text.startswith('"'):
        return True
    starts_otherwise = text.startswith(("!", "(")) or re.match(r"[-+&](\s|$)", text)
    return not (text in KEYWORDS or starts_otherwise or prefix(text, 0))


def numbers(values: Iterable[float]) -> str:
    """Numbers with commas between."""
    return ",".join(map(number, values))


def number(value: float) -> str:
    """Without an exponent, and exact."""
    return str(int(value)) if value == int(value) else format(Decimal(repr(value)), "f")
