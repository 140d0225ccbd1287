"""An edit as somebody would type it: as a command, as Python, and a style of a region alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING

from locstyle.edit.from_picture import FromPicture
from locstyle.edit.recipe import to_json
from locstyle.errors import RecipeError
from locstyle.selection import words

if TYPE_CHECKING:
    from locstyle.edit.choice import Choice
    from locstyle.edit.edit import Edit
    from locstyle.edit.region import Region
    from locstyle.edit.styling import Styling

_WIDTH = 96  # characters of a line of Python
_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
QUOTED = r'"(?:[^"]|"")*"'
"""A name in double quotes, which `-r` takes for what it says."""

STYLING = re.compile(
    rf"(?:(?P<encoder>[a-z][a-z0-9-]+:)?(?P<quoted>{QUOTED})|(?P<style>.+?))(?:@(?P<strength>[-+]?{_NUMBER}(?:[eE][-+]?\d+)?))?"
    rf"(?::(?P<start>{_NUMBER})-(?P<stop>{_NUMBER}))?"
)
"""One style as `-r` has it: STYLE, STYLE@STRENGTH, STYLE@STRENGTH:START-END."""

_FLAGS = {
    "prompt": "--prompt",
    "negative": "--negative",
    "prompts": "--prompts",
    "backbone": "--backbone",
    "backbone_config": "--backbone-config",
    "segments": "--segments",
    "accelerator": "--accelerator",
    "solver": "--solver",
    "steps": "--steps",
    "seed": "--seed",
    "detail": "--detail",
    "size": "--size",
    "grain": "--grain",
    "palette": "--palette",
    "feather": "--feather",
    "paste_feather": "--paste-feather",
    "inversion_refine": "--refine-inversion",
}
_OF_REGIONS = ("negative", "feather", "paste_feather", "guidance", "structure", "palette", "detail")


def as_command(edit: Edit, *, output: str = "out.png") -> str:
    """The `locstyle stylize` command that runs the edit, for a POSIX shell.

    What a finished edit says of how it came about (`digests`) is left out.

    Raises:
        RecipeError: something in it lives in memory, or has no option; save it as a recipe then.
    """
    said = ["locstyle", "stylize", _file(edit.image, "image")]
    for index, region in enumerate(edit.regions):
        said += ["-r", _region(region, f"regions[{index}]")]
    for index, region in enumerate(edit.regions):
        said += _settings(region, index + 1)
    if edit.frames or not isinstance(edit.size, int | None):
        place = "frames" if edit.frames else "size"
        raise _unspeakable(place, "no option says this")
    usual = {f.name: f.default for f in fields(edit)}
    for name, flag in _FLAGS.items():
        value = getattr(edit, name)
        if value != usual[name]:
            said += [flag, value if isinstance(value, str) else words.number(value)]
    said += ["--quick"] * edit.quick
    said += _choice(edit.fusion, "--fusion", "--preset", "-O")
    said += _choice(edit.segmenter, "--segmenter", "--segmenter-preset", "-S")
    return shlex.join([*said, "-o", output])


def as_python(edit: Edit, *, output: str = "out.png") -> str:
    """Python that makes, runs and saves the edit; `digests` are left out, as in `as_command`.

    Raises:
        RecipeError: something in it lives in memory.
    """
    edit.to_dict()
    config = ", config=edit.backbone_config" if edit.backbone_config else ""
    return (
        f"import locstyle as ls\n\nedit = {_python(edit)}\n"
        f"result = ls.Editor.load(edit.backbone{config}).run(edit)\nresult.save({output!r})\n"
    )


def write_styling(one: Styling) -> str:
    """One style as the command line reads it: `neon@0.8:0-0.5`, in quotes where it must be."""
    name = one.style if isinstance(one.style, str) else str(getattr(one.style, "name", ""))
    strength = f"@{words.number(one.strength)}" if one.strength != 1 else ""
    start, stop = map(words.number, one.window)
    return f"{_quoted(name)}{strength}" + (f":{start}-{stop}" if one.window != (0, 1) else "")


def _quoted(name: str) -> str:
    match = STYLING.fullmatch(name)
    is_safe = match is not None and match["style"] == name == name.strip()
    if not name or (is_safe and not set(name) & set('=,"')):
        return name
    made = FromPicture.read(name)
    encoder, name = (f"{made.encoder}:", made.picture) if made else ("", name)
    return encoder + '"{}"'.format(name.replace('"', '""'))


def _region(region: Region, where: str) -> str:
    if not isinstance(region.mask, str):
        raise _unspeakable(f"{where}.mask", "only selections can be typed")
    if not region.stylings:
        raise _unspeakable(f"{where}.style", "a region without a style cannot be typed")
    styles = [one.style for one in region.stylings]
    if not all(isinstance(style, str) for style in styles):
        raise _unspeakable(f"{where}.style", "it lives in memory")
    return f"{region.mask}={','.join(write_styling(one) for one in region.stylings)}"


def _settings(region: Region, number: int) -> Iterator[str]:
    if region.prompt is not None:
        yield from ("--region-prompt", f"{number}={region.prompt}")
    for name in _OF_REGIONS:
        value = getattr(region, name)
        if value is not None:
            yield from ("--set", f"{number}.{name}={to_json(value)}")


def _choice(choice: Choice, flag: str, preset: str, option: str) -> Iterator[str]:
    if choice.name != type(choice)().name:  # type: ignore[call-arg]  # each has a usual name
        yield from (flag, choice.name)
    if choice.preset is not None:
        yield from (preset, choice.preset)
    for key, value in choice.options.items():
        yield from (option, f"{key}={to_json(value)}")


def _file(path: object, place: str) -> str:
    if not isinstance(path, str):
        raise _unspeakable(place, "it lives in memory")
    return f"./{path}" if path.startswith("-") else path


def _unspeakable(place: str, why: str) -> RecipeError:
    hint = "save it as a recipe, and give `locstyle run` that"
    return RecipeError(f"{why}, so the edit is no single command; {hint}", place=place)


def _python(value: object, indent: str = "") -> str:
    """A value as Python makes it; of our dataclasses, every field that is set, by its name."""
    inner = f"{indent}    "
    if is_dataclass(value):
        opening, closing = f"ls.{type(value).__name__}(", ")"
        parts = [f"{name}={_python(one, inner)}" for name, one in _set(value)]
    elif isinstance(value, tuple) and value and all(map(is_dataclass, value)):
        opening, closing, parts = "[", "]", [_python(one, inner) for one in value]
    else:
        return repr(dict(value) if isinstance(value, Mapping) else value)
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(inner) + len(line) <= _WIDTH and "\n" not in line:
        return line
    return opening + "".join(f"\n{inner}{part}," for part in parts) + f"\n{indent}{closing}"


def _set(made: object) -> Iterator[tuple[str, object]]:
    for f in fields(made):  # type: ignore[arg-type]  # a dataclass
        value = getattr(made, f.name)
        usual = f.default_factory() if f.default_factory is not MISSING else f.default
        if value != usual and f.name != "digests":
            yield f.name, value
