"""Checks of single values: each returns the value as an edit keeps it, or raises a RecipeError.

`where` is the path of the value inside the recipe and starts the message.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from locstyle.edit.recipe import Plain
from locstyle.errors import RecipeError, shown

DETAILS = (0.01, 8.0)
"""The least and the most working pixels per photo pixel."""


def refusal(where: str, value: object, accepted: str) -> RecipeError:
    return RecipeError(f"got {shown(value)}; give {accepted}", place=where)


def text(value: object, where: str, *, empty: bool = True) -> str:
    if not isinstance(value, str) or not (value or empty):
        raise refusal(where, value, "a text")
    return value


def text_or_none(value: object, where: str) -> str | None:
    return None if value is None else text(value, where)


def number(value: object, where: str, low: float, high: float = math.inf) -> float:
    accepted = f"a number in [{low:g}, {high:g}]" if high < math.inf else f"a number ≥ {low:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refusal(where, value, accepted)
    try:
        given = float(value)
    except OverflowError as error:  # a whole number beyond 10**308
        raise refusal(where, value, accepted) from error
    if not (math.isfinite(given) and low <= given <= high):
        raise refusal(where, value, accepted)
    return given


def whole(value: object, where: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refusal(where, value, f"a whole number in [{low}, {high}]")
    return value


def truth(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise refusal(where, value, "true or false")
    return value


def detail(value: object, where: str) -> float | str:
    """Working pixels per photo pixel, or "auto"."""
    if value == "auto":
        return "auto"
    if isinstance(value, str):
        raise refusal(where, value, "auto, or working pixels per photo pixel, such as 0.5")
    return number(value, where, *DETAILS)


def grain(value: object, where: str) -> float | str:
    """A share of the photo's own grain, "auto" for all of it, or "off"."""
    if value in ("off", "auto"):
        return str(value)
    if value is False:  # what YAML makes of an unquoted off
        return "off"
    if isinstance(value, str):
        raise refusal(where, value, "off, auto, or a share of the photo's own, such as 0.5")
    return number(value, where, 0, 2)


PALETTES = "a share from 0, the photo's own colours, to 1, the style's; or drawn, as they come out"


def palette(value: object, where: str) -> float | str:
    """The style's share of a region's colours, in [0, 1], or "drawn"."""
    if value == "drawn":
        return "drawn"
    if isinstance(value, str) or isinstance(value, bool):
        raise refusal(where, value, PALETTES)
    return number(value, where, 0, 1)


PROMPTS = (WEIGHTED := "weighted", PLAIN := "plain")
"""How prompts are read: with their marks understood and as long as they are, or as they stand."""


def prompt(value: object, where: str) -> str:
    """A text of whole characters, which half a pair of UTF-16, or a byte in no encoding, is not."""
    said = text(value, where)
    try:
        said.encode()
    except UnicodeEncodeError as error:
        raise refusal(where, value, "a text in UTF-8") from error
    return said


def mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise refusal(where, value, "a mapping of keys to values")
    return value


def sequence(value: object, where: str, accepted: str = "a list") -> Sequence[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise refusal(where, value, accepted)
    return value


def plain_mapping(value: object, where: str) -> dict[str, Plain]:
    """A mapping as plain data: texts, numbers, truths, null, lists and mappings of these."""
    return {key: plain(inner, f"{where}.{key}") for key, inner in mapping(value, where).items()}


def numbers(value: object, where: str, count: int, accepted: str) -> None:
    parts = sequence(value, where, accepted)
    if len(parts) != count:
        raise refusal(where, value, accepted)
    for i, part in enumerate(parts):
        number(part, f"{where}[{i}]", -math.inf)


def file(value: Any, where: str, accepted: str) -> Any:
    """A path as text; a picture or style in memory as it is."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    is_plain = value is None or isinstance(value, (bool, int, float, bytes, Mapping, list, tuple))
    if is_plain or (isinstance(value, str) and (not value or "\0" in value)):
        raise refusal(where, value, accepted)
    return value


def plain(value: object, where: str) -> Plain:
    """`value` as YAML and JSON can hold it: tuples become lists, paths texts."""
    if isinstance(value, Mapping):
        return plain_mapping(value, where)
    if isinstance(value, (list, tuple)):
        return [plain(inner, f"{where}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise RecipeError(
        f"a {type(value).__name__} in memory cannot stand in a recipe; save it to a file and name "
        "the file",
        place=where,
    )
