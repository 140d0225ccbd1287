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

from locstyle.errors import RecipeError, shown
from locstyle.files import bounds, read_text

# Any: plain data, checked by whoever reads it (edit.py, options.py).
Plain = Any

_TOO_DEEP = f"more than {bounds.RECIPE_DEPTH} lists and mappings inside each other"


def read_recipe(path: str | Path) -> Plain:
    """The plain data of a recipe file; `.json` is read as JSON, everything else as YAML.

    Raises:
        RecipeError: no such file, not text, or no valid YAML or JSON.
    """
    try:
        is_json = Path(path).suffix.lower() == ".json"
        text = read_text(path, bounds.TEXT_BYTES if is_json else bounds.RECIPE_BYTES)
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read as a recipe ({error.strerror or error})"
        ) from error
    return from_json(text, str(path)) if is_json else from_yaml(text, str(path))


def from_yaml(text: str, where: str) -> Plain:
    """YAML text as plain data; `where` starts error messages."""
    _check_length(text, where, bounds.RECIPE_BYTES)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Checker().check(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{where}: not valid YAML ({_line(error)})") from error


def from_json(text: str, where: str) -> Plain:
    """JSON text as plain data; `where` starts error messages."""
    _check_length(text, where, bounds.TEXT_BYTES)
    try:
        data = json.loads(text, object_pairs_hook=_unique)
        _check_depth(data)
        return data
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


def _check_length(text: str, where: str, most: int) -> None:
    if len(text) > most:
        raise RecipeError(f"{where}: {len(text)} characters; a recipe has at most {most}")


def _check_depth(data: Plain) -> None:
    """Level by level, since what is checked may be deeper than Python can call."""
    level, values = [data], 1
    for _ in range(bounds.RECIPE_DEPTH + 1):
        held = [one for one in level if isinstance(one, dict | list)]
        if not held:
            return
        level = [x for one in held for x in (one.values() if isinstance(one, dict) else one)]
        values += len(level)
        if values > bounds.RECIPE_VALUES:
            raise ValueError(f"more than {bounds.RECIPE_VALUES} values")
    raise ValueError(_TOO_DEEP)


def _unique(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None is the point
        raise ValueError(f"key {shown(twice)} stands twice")
    return data


class _Checker:
    """Refuses YAML that means more than it says: values behind aliases count each time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}  # values and depth by node
        self._open: set[int] = set()

    def check(self, node: yaml.Node, above: int = 0) -> tuple[int, int]:
        """How many values a node means, and how deep they are.

        Raises:
            YAMLError: too many or too deep, a node that holds itself, or a tag that is not read.
        """
        if id(node) not in self._known:
            if id(node) in self._open:
                raise _at(node, "an alias for something that holds it")
            if above >= bounds.RECIPE_DEPTH:
                raise _at(node, _TOO_DEEP)
            self._open.add(id(node))
            _check_tag(node)
            inner = [self.check(one, above + 1) for one in _children(node)]
            count = 1 + sum(values for values, _ in inner)
            if count > bounds.RECIPE_VALUES:
                raise _at(node, f"more than {bounds.RECIPE_VALUES} values, aliases counted")
            self._known[id(node)] = count, 1 + max((depth for _, depth in inner), default=-1)
            self._open.remove(id(node))
        values, depth = self._known[id(node)]
        if above + depth > bounds.RECIPE_DEPTH:
            raise _at(node, _TOO_DEEP)
        return values, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_tag(node: yaml.Node) -> None:
    """Refuses what only YAML's own types would make of a value: dates, sets, bytes, …"""
    name = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.ScalarNode):
        pattern = _SCALARS.get(name)
        is_known = name == "str" or bool(pattern and re.fullmatch(pattern, node.value))
    else:
        is_known = name == ("map" if isinstance(node, yaml.MappingNode) else "seq")
    if not is_known:
        raise _at(node, f"{shown(node.tag.replace(_TAG, '!!'))} is not read; leave it out")


def _at(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, node.start_mark)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2, texts as keys, and no duplicate keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as PyYAML keeps them

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth > bounds.RECIPE_DEPTH:  # where Python's own limit would be slow to be met
            raise yaml.MarkedYAMLError(None, None, _TOO_DEEP, self.get_mark())
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _at(key_node, f"key {shown(key)} is no text; quote it")
            if key in seen:
                raise _at(key_node, f"key {shown(key)} stands twice")
            seen.add(key)
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


_TAG = "tag:yaml.org,2002:"
_SCALARS = {  # order matters: a whole number is also a number
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
}
for _name, _pattern in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_pattern})\\Z"), None)
_Dumper.add_representer(str, _Dumper.represent_str)
# PyYAML would read 010 as octal.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda loader, node: float(node.value.replace(".inf", "inf").replace(".nan", "nan")),
)
