"""Names with places in braces, such as `out/{stem}-{seed}.png`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from locstyle.errors import RecipeError, did_you_mean

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_UNSAFE = re.compile(r"[^\w.+=@%-]+")
_LONGEST = 80  # characters of one value in a file's name


def places(pattern: str) -> list[str]:
    """The names in braces, in order; `{{` and `}}` are braces themselves."""
    return [found[1] for found in _PLACE.finditer(pattern) if found[1] is not None]


def filled(pattern: str, values: Mapping[str, str], where: str) -> str:
    """The pattern with its places filled; `where` starts error messages.

    Raises:
        RecipeError: a place that nothing is known for.
    """

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name not in values:
            hint = did_you_mean(name, values)
            raise RecipeError(f"{where}: {pattern!r} has no meaning for {{{name}}}; {hint}")
        return values[name]

    return _PLACE.sub(fill, pattern)


def filled_where_known(pattern: str, values: Mapping[str, str]) -> str:
    """The pattern with the places filled that are known; all else stays as it is."""

    def fill(found: re.Match[str]) -> str:
        return values.get(found[1], found[0])

    return _PLACE.sub(fill, pattern)


def file_name(value: str) -> str:
    """A value as a part of a file's name: of a path its stem, without what names had better not
    hold."""
    last = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    stem = Path(last).stem if re.search(r"\.[A-Za-z]\w*$", last) else last
    named = _UNSAFE.sub("-", stem).strip("-.")[:_LONGEST] or "none"
    return f"-{named}" if re.match(r"-[\d.]", stem) else named  # -5 is not 5
