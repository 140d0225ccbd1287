"""Between dataclasses and plain data: made of checked mappings, written without what is unset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import MISSING, fields, is_dataclass
from typing import TypeVar

from locstyle.edit import checks
from locstyle.edit.recipe import Plain
from locstyle.errors import RecipeError, at, did_you_mean

_LISTS = ("regions", "styles", "frames")
_OF_ONE = ("strength", "window")
_Made = TypeVar("_Made")


def set_field(made: object, name: str, value: object) -> None:
    """Writes a checked value into a frozen dataclass; only for use in its __post_init__."""
    object.__setattr__(made, name, value)


def make(kind: Callable[..., _Made], data: Plain, where: str = "") -> _Made:
    """A dataclass from a mapping of its fields, which stands at `where` in the recipe."""
    given = checks.mapping(data, where or "recipe")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    with at(where) if where else nullcontext():
        for key in given:
            if key not in known:
                raise RecipeError(f"no such key; {did_you_mean(key, known)}", place=key[:80])
        for key, field in known.items():
            has_default = field.default is not MISSING or field.default_factory is not MISSING
            if key not in given and not has_default:
                raise RecipeError("is missing", place=key)
        return kind(**given)


def plain_fields(made: object, where: str = "") -> dict[str, Plain]:
    """What is set in a dataclass, as plain data: None, {}, and "" or false by default, are not."""
    data: dict[str, Plain] = {}
    for f in fields(made):  # type: ignore[arg-type]  # one of our dataclasses
        value = getattr(made, f.name)
        if f.name in _OF_ONE and getattr(made, "styles", None):
            continue  # each of several styles says its own
        if f.name in _LISTS:
            inner_of = f"{where}{f.name}"
            listed: list[Plain] = [
                plain_fields(one, f"{inner_of}[{i}].") for i, one in enumerate(value)
            ]
            data |= {f.name: listed} if listed else {}
        elif f.name in ("fusion", "segmenter") and is_dataclass(value):
            inner = plain_fields(value, f"{f.name}.")
            data[f.name] = inner["name"] if len(inner) == 1 else inner
        elif not _is_unset(value, f.default):
            data[f.name] = checks.plain(value, where + f.name)
    return data


def _is_unset(value: object, default: object) -> bool:
    if isinstance(value, str):
        return value == default == ""
    is_plainly_not = value is False and default is False
    return value is None or is_plainly_not or (isinstance(value, Mapping) and not value)
