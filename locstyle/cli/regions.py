"""Regions as the command line writes them: SELECTION=STYLE[@STRENGTH][:START-END], …"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any  # Any: values as YAML reads them

from locstyle.edit import FromPicture, Region, Styling
from locstyle.edit.recipe import from_yaml
from locstyle.edit.written import QUOTED, STYLING
from locstyle.errors import RecipeError, at, did_you_mean

_REGION = re.compile(rf'(?P<mask>.+)=(?P<styled>(?:{QUOTED}|[^="])+)', re.DOTALL)
_BETWEEN_COMMAS = re.compile(rf"(?:{QUOTED}|[^,])*")
_ELSEWHERE = ("mask", "style", "styles")  # what -r itself says
SETTABLE = tuple(field.name for field in fields(Region) if field.name not in _ELSEWHERE)


def read_regions(
    given: Sequence[str], prompts: Sequence[str] = (), settings: Sequence[str] = ()
) -> list[Region]:
    """The regions of `-r` arguments, in order, with what `--region-prompt N=TEXT` and
    `--set N.KEY=VALUE` say of them.

    The selection ends at the last `=`, so it may hold `=`, `@` and `:`. Several styles stand
    between commas; the strength is a number after the last `@`, the window two numbers after a `:`.
    A style whose name has any of these marks stands in double quotes, as a mask does.

    Raises:
        RecipeError: names the argument.
    """
    texts = _prompts(prompts, len(given))
    regions = []
    for index, text in enumerate(given):
        with at(f"regions[{index}]", f"-r {text!r}"):
            regions.append(_region(text, texts.get(index + 1)))
    for number, values in _settings(settings, len(given)).items():
        for text, (key, value) in values.items():
            with at(f"regions[{number - 1}]", f"--set {text!r}"):
                regions[number - 1] = _with(regions[number - 1], key, value)
    return regions


def _region(given: str, prompt: str | None) -> Region:
    found = _REGION.fullmatch(given)
    mask, styled = found.groups() if found else given.rpartition("=")[::2]
    if not (mask and styled):
        raise RecipeError(
            "give SELECTION=STYLE, SELECTION=STYLE@STRENGTH or SELECTION=STYLE@STRENGTH:START-END, "
            "several styles between commas"
        )
    stylings = [_styling(text) for text in _between_commas(styled)]
    if len(stylings) > 1:
        return Region(mask, styles=tuple(stylings), prompt=prompt)
    (one,) = stylings
    return Region(mask, one.style, one.strength, prompt, window=one.window)


def _styling(text: str) -> Styling:
    match = STYLING.fullmatch(text.strip())
    if match is None:
        raise RecipeError("an empty style between commas; give STYLE,STYLE")
    strength = 1.0 if match["strength"] is None else float(match["strength"])
    window = (0.0, 1.0) if match["start"] is None else (float(match["start"]), float(match["stop"]))
    return Styling(_unquoted(match), strength, window)


def _between_commas(text: str) -> list[str]:
    """The parts of a text between its commas, those in double quotes aside."""
    parts, at = [], 0
    while at <= len(text):
        found = _BETWEEN_COMMAS.match(text, at)
        end = found.end() if found else len(text)
        parts.append(text[at:end])
        at = end + 1
    return parts


def _unquoted(match: re.Match[str]) -> str:
    """The style a text names. In quotes stands a file or a name, whatever it looks like."""
    if match["quoted"] is None:
        return match["style"]
    name, encoder = match["quoted"][1:-1].replace('""', '"'), match["encoder"] or ""
    is_named_alike = not encoder and FromPicture.read(name) is not None
    return f"./{name}" if is_named_alike else encoder + name


def _prompts(given: Sequence[str], regions: int) -> Mapping[int, str]:
    """Region number, from 1, → its prompt."""
    texts: dict[int, str] = {}
    for text in given:
        number, equals, prompt = text.partition("=")
        if not (equals and number.isdecimal() and 1 <= int(number) <= regions):
            accepted = f"N from 1 to {regions}, in the order of -r"
            raise RecipeError(f"--region-prompt {text!r}: give N=TEXT with {accepted}")
        if int(number) in texts:
            raise RecipeError(f"--region-prompt {text!r}: region {number} has a prompt already")
        texts[int(number)] = prompt
    return texts


def _settings(given: Sequence[str], regions: int) -> Mapping[int, dict[str, tuple[str, Any]]]:
    """Region number, from 1, → argument → the key and the value it sets."""
    found: dict[int, dict[str, tuple[str, Any]]] = defaultdict(dict)
    for text in given:
        place, equals, value = text.partition("=")
        number, dot, key = place.partition(".")
        if not (equals and dot and number.isdecimal() and 1 <= int(number) <= regions):
            raise RecipeError(
                f"--set {text!r}: give N.KEY=VALUE with N from 1 to {regions}, in the order of -r"
            )
        if key not in SETTABLE:
            raise RecipeError(f"--set {text!r}: no such key; {did_you_mean(key, SETTABLE)}")
        if key in (known for known, _ in found[int(number)].values()):
            raise RecipeError(f"--set {text!r}: region {number} has a {key} already")
        found[int(number)][text] = key, from_yaml(value, f"--set {text!r}")
    return found


def _with(region: Region, key: str, value: Any) -> Region:
    given = {field.name: getattr(region, field.name) for field in fields(region)}
    return Region(**(given | {key: value}))
