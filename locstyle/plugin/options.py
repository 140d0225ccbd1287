"""Options of a plugin: a frozen dataclass filled from a mapping and checked by its annotations."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from locstyle.errors import PluginError, RecipeError, at, did_you_mean, shown
from locstyle.plugin.meanings import meanings


def build_options(
    kind: type, given: Mapping[str, object], *, base: object | None = None, where: str = "options"
) -> Any:  # Any: an instance of `kind`, which only the plugin knows
    """An instance of the dataclass `kind`: its defaults (or `base`), overwritten by `given`.

    Fields may be int, float, bool, str, Literal, tuples of these, and any of them or None.

    Raises:
        RecipeError: an unknown key (nearest name offered) or a value of another type.
        PluginError: an annotation that cannot be checked.
    """
    hints = _hints(kind)
    values = {}
    for key, value in given.items():
        with at(f"options.{str(key)[:80]}", lead=""):
            if key not in hints:
                raise RecipeError(
                    f"{where}.{str(key)[:80]}: no such option; {did_you_mean(str(key), hints)}"
                )
            values[key] = _checked(value, hints[key], f"{where}.{key}")
    if base is None:
        return kind(**values)
    return dataclasses.replace(base, **values)  # type: ignore[type-var]  # a dataclass, see check_options


def check_options(factory: object, where: str) -> None:
    """Refuses `Options` or `PRESETS` that no recipe could be checked against."""
    kind = getattr(factory, "Options", None)
    presets = getattr(factory, "PRESETS", {})
    if kind is None:
        if presets:
            raise PluginError(f"{where}: has PRESETS but no nested dataclass `Options`")
        return
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise PluginError(f"{where}: `Options` is {kind!r}; write a nested @dataclass(frozen=True)")
    if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # untyped in typeshed
        raise PluginError(f"{where}: `Options` is mutable; write @dataclass(frozen=True)")
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise PluginError(
                f"{where}: option {field.name!r} has no default; every option needs one"
            )
    for name, preset in presets.items():
        if not isinstance(preset, kind):
            raise PluginError(
                f"{where}: preset {name!r} is {preset!r}; give an instance of `Options`"
            )


def options_table(factory: object) -> dict[str, dict[str, object]]:
    """Name → {type, default, meaning} of every option of a factory, for listings."""
    kind = getattr(factory, "Options", None)
    if kind is None:
        return {}
    hints, defaults, said = _hints(kind), kind(), meanings(kind)
    return {
        name: {
            "type": describe(hint),
            "default": getattr(defaults, name),
            "meaning": said.get(name, ""),
        }
        for name, hint in hints.items()
    }


def presets_table(factory: object) -> dict[str, dict[str, object]]:
    """Name → what a preset changes of the defaults, by option."""
    presets: Mapping[str, object] = getattr(factory, "PRESETS", {})
    names = options_table(factory)
    return {
        preset: {
            name: getattr(made, name)
            for name, facts in names.items()
            if getattr(made, name) != facts["default"]
        }
        for preset, made in presets.items()
    }


def written(value: object) -> str:
    """An option's value as it is typed after KEY=."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value) or '""'


def describe(hint: object) -> str:
    """An annotation in words: `a whole number`, `one of 'a', 'b'`."""
    if hint is None or hint is type(None):
        return "null"
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(choice) for choice in inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"a list, each {describe(inner[0])}"
        return f"a list of {len(inner)}: " + ", ".join(describe(part) for part in inner)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, str(hint))  # type: ignore[call-overload,no-any-return]  # hints are open


def _hints(kind: type) -> dict[str, object]:
    try:
        hints = get_type_hints(kind)
    except NameError as error:
        raise PluginError(
            f"{kind.__module__}.{kind.__qualname__}: an annotation cannot be resolved ({error}); "
            "import its name at run time"
        ) from error
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _checked(value: object, hint: object, where: str) -> object:
    """`value` as `hint` asks (lists become tuples, whole numbers floats where a float is meant)."""
    for choice in _choices(hint):
        fits, converted = _fit(value, choice, where)
        if fits:
            return converted
    raise RecipeError(f"{where}: got {shown(value)}; give {describe(hint)}")


def _choices(hint: object) -> Sequence[object]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fit(value: object, hint: object, where: str) -> tuple[bool, object]:
    if get_origin(hint) is Literal:
        return any(value == c and type(value) is type(c) for c in get_args(hint)), value
    if get_origin(hint) is tuple:
        return _fit_tuple(value, get_args(hint), where)
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return _fit_float(value) if number else (False, value)
    if hint is type(None):
        return value is None, None
    if hint in (int, bool, str):
        return type(value) is hint, value
    raise PluginError(
        f"{where}: options of type {hint!r} cannot be checked; "
        "use int, float, bool, str, Literal or tuple"
    )


def _fit_float(value: Any) -> tuple[bool, object]:  # Any: an int or a float
    try:
        given = float(value)
    except OverflowError:  # a whole number beyond 10**308
        return False, value
    return math.isfinite(given), given


def _fit_tuple(value: object, inner: tuple[object, ...], where: str) -> tuple[bool, object]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False, value
    hints = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    if len(hints) != len(value):
        return False, value
    parts = [
        _checked(v, h, f"{where}[{i}]") for i, (v, h) in enumerate(zip(value, hints, strict=True))
    ]
    return True, tuple(parts)
