"""The text form of a recipe: YAML or JSON to plain data and back, strictly.

YAML is read as version 1.2 has it where people trip: `1e-4` is a number, `on` and `no` are texts.
A key that stands twice is an error in both.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from locstyle.errors import RecipeError

# Any: plain data, checked by whoever reads it (edit.py, options.py).
Plain = Any


def read_recipe(path: str | Path) -> Plain:
    """The plain data of a recipe file; `.json` is read as JSON, everything else as YAML.

    Raises:
        RecipeError: no such file, not text, or no valid YAML or JSON.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as a recipe ({error})") from error
    return (
        from_json(text, str(path)) if path.suffix.lower() == ".json" else from_yaml(text, str(path))
    )


def from_yaml(text: str, where: str) -> Plain:
    """YAML text as plain data; `where` starts error messages."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid YAML ({_line(error)})") from error


def from_json(text: str, where: str) -> Plain:
    """JSON text as plain data; `where` starts error messages."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid JSON ({error})") from error


def to_yaml(data: Plain) -> str:
    """Plain data as YAML that `from_yaml` reads back to the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def to_json(data: Plain) -> str:
    """Plain data as one line of JSON."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _line(error: Exception) -> str:
    """A YAML error in one line: where in the text and what."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def _unique(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key {key!r} stands twice")
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2, texts as keys, and no duplicate keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as PyYAML keeps them

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for (key_node, _), key in zip(node.value, keys, strict=True):
            if not isinstance(key, str) or keys.count(key) > 1:
                problem = "stands twice" if isinstance(key, str) else "is no text; quote it"
                raise yaml.MarkedYAMLError(
                    None, None, f"key {key!r} {problem}", key_node.start_mark
                )
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read back as text, and repeats instead of using anchors."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as PyYAML keeps them

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML writes these line breaks in single quotes and reads them back as others.
        style = '"' if any(mark in data for mark in "\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_SCALARS = {  # order matters: a whole number is also a number
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
}
for _name, _pattern in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z"), None
        )
_Dumper.add_representer(str, _Dumper.represent_str)
# PyYAML would read 010 as octal.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda loader, node: float(node.value.replace(".inf", "inf").replace(".nan", "nan")),
)
