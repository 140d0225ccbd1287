"""Writes the parts of docs/ that are generated from the code, between their two marks.

    python scripts/write_docs.py

The tests compare: what is written must be what this would write.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import locstyle as ls
from locstyle.plugin.options import options_table, presets_table, written

ROOT = Path(__file__).parent.parent
THEMES = {
    "An edit": ("edit", "editor", "result"),
    "What a fusion looks at": ("engine.scene", "engine.ownership"),
    "What it decides": ("engine.plan",),
    "Interventions": ("engine.interventions", "engine.intervene", "engine.call", "engine.attend"),
    "The model and the loop": ("engine",),
    "Styles": ("style", "bookmark"),
    "Photos, masks and segments": ("photo", "masks", "segments", "job.select"),
    "Plugins": ("plugin",),
    "Errors": ("errors",),
    "Beside these": ("",),
}
"""What public names are about, by the module they come from; the first that fits counts."""


def main() -> None:
    for page, parts in generated().items():
        path = ROOT / page
        text = path.read_text("utf-8")
        for mark, part in parts.items():
            text = replaced(text, mark, part)
        path.write_text(text, "utf-8")


def generated() -> dict[str, dict[str, str]]:
    """By page and mark, what stands there."""
    host = ls.Host()
    methods = ("diffstyler", "singlepass", "magicstyle", "vct", "deadiff")
    return {
        "docs/plugins.md": {"public names": public_names()},
        "docs/options.md": {
            kind.replace("_", " "): every_option(host, kind)
            for kind in ("fusions", "style_encoders", "segmenters")
        },
        "docs/methods.md": {
            **{f"options of {name}": options(host, "fusions", name) for name in methods},
            "options of concept": options(host, "style_encoders", "concept"),
        },
    }


def every_option(host: ls.Host, kind: str) -> str:
    """A table for each contribution of a kind."""
    tables = (f"\n### {name}\n\n{options(host, kind, name)}" for name in host.names(kind))
    return "".join(tables) + "\n"


def options(host: ls.Host, kind: str, name: str) -> str:
    """The options of a contribution: defaults, what each preset changes, types and meanings."""
    factory = host.find(kind, name).factory
    presets = presets_table(factory)
    heads = ["option", "default", *(f"`--preset {preset}`" for preset in presets), "what it is"]
    lines = [heads, ["---"] * len(heads)]
    for option, facts in options_table(factory).items():
        changed = [changes.get(option, _SAME) for changes in presets.values()]
        values = ["" if value is _SAME else f"`{written(value)}`" for value in changed]
        meaning = f"{facts['meaning']} ({facts['type']})"
        lines.append([f"`{option}`", f"`{written(facts['default'])}`", *values, meaning])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_SAME = object()


def replaced(text: str, mark: str, part: str) -> str:
    """The page with what stands between the marks replaced."""
    begin, end = f"<!-- {mark}: python scripts/write_docs.py -->\n", f"<!-- end of {mark} -->\n"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    found = re.subn(pattern, lambda _: begin + part + end, text, flags=re.DOTALL)
    if found[1] != 1:
        raise SystemExit(f"no single {begin.strip()} … {end.strip()} to write between")
    return found[0]


def public_names() -> str:
    """Tables of all that `import locstyle` offers."""
    modules = dict(sorted(_modules()))
    lines = []
    for theme in THEMES:
        names = [name for name, module in modules.items() if _theme(module) == theme]
        lines += [f"\n### {theme}\n", "| name | has | is |", "|---|---|---|"]
        for name in names:
            lines.append(f"| `ls.{name}` | {_members(name)} | {_said(name, modules[name])} |")
    return "\n".join(lines) + "\n\n"


def _modules() -> Iterator[tuple[str, str]]:
    """Public names and the modules they come from."""
    for node in ast.parse((ROOT / "locstyle/__init__.pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.name, node.module or alias.name


def _theme(module: str) -> str:
    for theme, rooms in THEMES.items():
        if any(not room or f"{module}.".startswith(f"{room}.") for room in rooms):
            return theme
    raise AssertionError(module)


def _said(name: str, module: str) -> str:
    """The first paragraph of what the code says about a name."""
    public = getattr(ls, name)
    text = inspect.getdoc(public) if callable(public) or inspect.ismodule(public) else None
    if text is None or not getattr(public, "__module__", module).startswith("locstyle"):
        text = _beside(name, module) or text
    assert text, name
    return " ".join(text.split("\n\n")[0].split()).replace("|", r"\|")


def _beside(name: str, module: str) -> str:
    """The docstring that follows an assignment; constants and aliases have none of their own."""
    path = ROOT / "locstyle" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(path.read_text("utf-8")).body
    for node, after in pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == name for one in targets):
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return str(after.value.value)
    return ""


def _members(name: str) -> str:
    """Fields with plain defaults, then properties, then methods; parameters of a function."""
    public = getattr(ls, name)
    if inspect.isfunction(public):
        return f"`({_signature(public)})`"
    if inspect.ismodule(public):
        made = (key for key, value in sorted(vars(public).items()) if inspect.isfunction(value))
        return ", ".join(f"`{key}()`" for key in made)
    if not isinstance(public, type):
        return ""
    if issubclass(public, Exception):
        return ""
    fields = list(_fields(public))
    if not fields and "__init__" in vars(public) and not getattr(public, "_is_protocol", False):
        fields = [f"`({_signature(public.__init__)})`"]
    own = [(key, value) for key, value in vars(public).items() if not key.startswith("_")]
    taken = {re.split(r"[` ]", field)[1] for field in fields}
    read = [f"`{key}`" for key, value in own if _is_read(value) and key not in taken]
    methods = [f"`{key}()`" for key, value in own if _is_method(value)]
    return "; ".join(", ".join(part) for part in (fields, read, methods) if part)


def _fields(public: Any) -> Iterator[str]:
    if dataclasses.is_dataclass(public):
        for field in dataclasses.fields(public):
            if not field.name.startswith("_"):
                yield f"`{field.name}`{_default(field.default)}"
        return
    defaults = getattr(public, "_field_defaults", {})
    for key in getattr(public, "_fields", inspect.get_annotations(public)):
        if not key.startswith("_"):
            yield f"`{key}`{_default(defaults.get(key, dataclasses.MISSING))}"


def _default(value: object) -> str:
    plain = isinstance(value, bool | int | float | str | None) or value == ()
    return f" = {value!r}" if plain else ""


def _signature(function: Any) -> str:
    found = inspect.signature(function).parameters.values()
    bare = [_bare(one) for one in found if one.name != "self"]
    return str(inspect.Signature(bare))[1:-1].replace("|", r"\|")


def _bare(one: inspect.Parameter) -> inspect.Parameter:
    """Without its annotation; a default that is a function shows by its name."""
    if inspect.isfunction(one.default):
        one = one.replace(default=_Named(one.default.__name__))
    return one.replace(annotation=inspect.Parameter.empty)


class _Named(str):
    __repr__ = str.__str__


def _is_read(value: object) -> bool:
    return isinstance(value, property) or type(value).__name__ == "cached_property"


def _is_method(value: object) -> bool:
    return isinstance(value, classmethod | staticmethod) or inspect.isfunction(value)


if __name__ == "__main__":
    main()
