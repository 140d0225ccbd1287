"""Regions as the command line writes them: SELECTION=STYLE[@STRENGTH]."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from locstyle.edit import Region
from locstyle.errors import RecipeError

_STRENGTH = re.compile(r"(?P<style>.+)@(?P<number>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)")


def read_regions(given: Sequence[str], prompts: Sequence[str] = ()) -> list[Region]:
    """The regions of `-r` arguments, in order, with the prompts of `--region-prompt N=TEXT`.

    The selection ends at the last `=`, so it may hold `=`, `@` and `:`; the strength is a number
    after the last `@`.

    Raises:
        RecipeError: names the argument.
    """
    texts = _prompts(prompts, len(given))
    return [_region(text, texts.get(number)) for number, text in enumerate(given, start=1)]


def _region(given: str, prompt: str | None) -> Region:
    mask, _, styled = given.rpartition("=")
    if not (mask and styled):
        raise RecipeError(f"-r {given!r}: give SELECTION=STYLE or SELECTION=STYLE@STRENGTH")
    strength = 1.0
    if match := _STRENGTH.fullmatch(styled):
        styled, strength = match["style"], float(match["number"])
    try:
        return Region(mask, styled, strength=strength, prompt=prompt)
    except RecipeError as error:
        raise type(error)(f"-r {given!r}: {error}") from error


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
