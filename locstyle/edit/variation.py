"""The same edit many times over: keys, each with the values it is to take.

seed=1..4                 a key of the edit
2.structure=0.2,0.4       a key of the second region
style=swirl,neon          a region's key, of every region
fusion.options.guidance=3,5
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from itertools import pairwise, product
from typing import Any

from locstyle.edit.edit import Edit
from locstyle.edit.recipe import Plain, from_yaml
from locstyle.edit.region import Region
from locstyle.errors import RecipeError, did_you_mean, shown
from locstyle.files import bounds

Variation = Mapping[str, Plain]
"""One value for each varied key, in the order of the keys."""

_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_FIXED = ("image", "regions", "frames", "digests", "backbone")
_TOP = tuple(f.name for f in fields(Edit) if f.name not in _FIXED)
_OF_REGIONS = tuple(f.name for f in fields(Region) if f.name != "styles")
_CHOICES = ("fusion", "segmenter")


def read_axes(given: Sequence[str], flag: str) -> dict[str, list[Plain]]:
    """KEY=VALUE,VALUE,… texts as keys with their values; `1..4` is every whole number from 1 to 4.

    Values are read as YAML, so one that holds a comma stands in double quotes.

    Raises:
        RecipeError: names the argument.
    """
    axes: dict[str, list[Plain]] = {}
    for text in given:
        key, equals, values = text.partition("=")
        where = f"{flag} {text!r}"
        if not (key and equals and values):
            raise RecipeError(f"{where}: give KEY=VALUE,VALUE,… such as seed=1..4")
        if key in axes:
            raise RecipeError(f"{where}: {key!r} is varied already")
        listed = from_yaml(f"[{values}]", where)
        axes[key] = [one for value in listed for one in _expanded(value, where)]
    return axes


def combinations(axes: Mapping[str, Sequence[Plain]]) -> list[Variation]:
    """Every combination of the values, the last key's changing fastest; one, {}, of no axes.

    Raises:
        RecipeError: a key without values, or more combinations than are run.
    """
    count = 1
    for key, values in axes.items():
        if isinstance(values, str) or not values:
            raise RecipeError(f"vary {key!r}: got {shown(values)}; give a list of values")
        count *= len(values)
    if count > bounds.VARIATIONS:
        raise RecipeError(f"vary: {count} combinations; give at most {bounds.VARIATIONS}")
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def varied(data: Mapping[str, Plain], variation: Variation) -> dict[str, Plain]:
    """A recipe's plain data with the values in their places; `Edit.from_dict` checks them.

    Raises:
        RecipeError: there is no such key or region.
    """
    made: dict[str, Plain] = deepcopy(dict(data))
    for key, value in variation.items():
        for place in _places(made, key):
            _put(made, place, value)
    return made


def described(variation: Variation) -> str:
    """The values in a line, as a label: `seed 1, 2.structure 0.4`."""
    return ", ".join(f"{key} {written(value)}" for key, value in variation.items())


def written(value: Plain) -> str:
    """A value as a label or a file's name shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _expanded(value: Plain, where: str) -> list[Plain]:
    """The value, or the whole numbers it stands for."""
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return [value]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < bounds.VARIATIONS:
        most = bounds.VARIATIONS
        raise RecipeError(f"{where}: {value} counts up, over at most {most} numbers")
    return list(range(first, last + 1))


def _places(data: Mapping[str, Plain], key: str) -> list[tuple[str | int, ...]]:
    """Where a key stands in a recipe's data."""
    first, dot, rest = key.partition(".")
    regions = range(len(data["regions"]) if isinstance(data.get("regions"), list) else 0)
    if first.isdecimal() and dot:
        if int(first) - 1 not in regions:
            raise RecipeError(f"vary {key!r}: give N.KEY with N from 1 to {len(regions)}")
        _check(key, rest, _OF_REGIONS)
        return [("regions", int(first) - 1, rest)]
    if first in _CHOICES and dot:
        parts = rest.split(".", 1)
        if parts != ["preset"] and (parts[0] != "options" or len(parts) == 1):
            raise RecipeError(f"vary {key!r}: give {first}.preset or {first}.options.NAME")
        return [(first, *parts)]
    _check(key, key, (*_TOP, *_OF_REGIONS))
    return [(key,)] if key in _TOP else [("regions", index, key) for index in regions]


def _check(key: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise RecipeError(f"vary {key!r}: no such key; {did_you_mean(name, known)}")


def _put(data: dict[str, Plain], place: tuple[str | int, ...], value: Plain) -> None:
    inner: Any = data  # plain data of whatever form: what is wrong with it, Edit says
    for key, following in pairwise(place):
        if following in ("preset", "options") and isinstance(inner.get(key), str):
            inner[key] = {"name": inner[key]}
        if isinstance(inner, dict):
            inner.setdefault(key, {})
        inner = inner[key]
        if not isinstance(inner, dict | list):
            return
    inner[place[-1]] = value
