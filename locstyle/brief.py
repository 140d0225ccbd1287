"""One line about a thing, for `print` and notebooks: what is unusual about it, not all it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields

_LONGEST = 60  # characters of a text
_FEW = 3  # entries of a list that are shown themselves


def brief(made: object) -> str:
    """A dataclass in one line: required fields by their values alone, others where they are set."""
    return f"{type(made).__name__}({', '.join(_parts(made))})"


def _parts(made: object) -> Iterator[str]:
    for f in fields(made):  # type: ignore[arg-type]  # a dataclass
        value = getattr(made, f.name)
        usual = f.default_factory() if f.default_factory is not MISSING else f.default
        if usual is MISSING:
            yield _shown(value, f.name)
        elif not _is_same(value, usual):
            yield f"{f.name}={_shown(value, f.name)}"


def _is_same(value: object, usual: object) -> bool:
    """Without asking arrays whether they are equal."""
    return value is usual or (type(value) is type(usual) and bool(value == usual))


def _shown(value: object, name: str) -> str:
    if isinstance(value, str):
        clipped = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
        return repr(clipped)
    if isinstance(value, Mapping):
        few = {k: v for k, v in value.items() if not isinstance(v, Mapping)}
        return repr(dict(few)) if len(value) == len(few) <= _FEW else f"{len(value)} {name}"
    if isinstance(value, Sequence):
        numbers = all(isinstance(one, int | float) for one in value)
        return repr(value) if numbers and len(value) <= _FEW else f"{len(value)} {name}"
    if (shape := getattr(value, "shape", None)) is not None:
        return f"{type(value).__name__} of {' × '.join(map(str, shape))}"
    if type(value).__module__.startswith("PIL."):
        return f"{type(value).__name__} of {' × '.join(map(str, getattr(value, 'size', ())))}"
    return " ".join(repr(value).split())
