"""Which plugin an edit uses for something, from which preset, with which options on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from locstyle.edit import checks
from locstyle.edit.fields import make, set_field


@dataclass(frozen=True)
class Choice:
    """A plugin's contribution by name; options lie on top of the preset's."""

    name: str
    preset: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_field(self, "name", checks.text(self.name, "name", empty=False))
        set_field(self, "preset", checks.text_or_none(self.preset, "preset"))
        set_field(self, "options", checks.plain_mapping(self.options, "options"))


@dataclass(frozen=True)
class Fusing(Choice):
    """Which fusion, from which preset, with which options on top."""

    name: str = "singlepass"


@dataclass(frozen=True)
class Segmenting(Choice):
    """Which segmenter, from which preset, with which options on top."""

    name: str = "classic"


_Kind = TypeVar("_Kind", bound=Choice)


def chosen(kind: type[_Kind], value: object, where: str) -> _Kind:
    """A choice given as one, or as a name alone."""
    if isinstance(value, str):
        return make(kind, {"name": value}, where)
    if not isinstance(value, kind):
        raise checks.refusal(where, value, "a name, or a mapping with name, preset and options")
    return value
