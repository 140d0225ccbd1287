"""What other tools read in a prompt and we do not: said, where a user would otherwise wonder."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Sequence

from locstyle.edit import Edit
from locstyle.errors import LocstyleWarning
from locstyle.style import Style

_FOREIGN = {
    re.compile(r"\([^()]*:\s*[\d.]+\s*\)"): "say it in other words; of a style, give its strength",
    re.compile(r"\bBREAK\b"): "each region may have a prompt of its own",
    re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>"): "give the file as the style of a region",
}
_WORD = re.compile(r"<[^<>\s:]+>")


def warn_of_syntax(edit: Edit, styles: Sequence[Sequence[Style]]) -> None:
    """Says which marks in the prompts have no meaning here: weights, BREAK, unknown words.

    `styles`: of each region of the edit.
    """
    own = [{word for style in group for word in style.words} for group in styles]
    for place, text, known in _texts(edit, own):
        for found, hint in _found(text, known):
            said = f"{found!r} has no meaning here and is read as it stands; {hint}"
            warnings.warn(LocstyleWarning(said, place=place), stacklevel=3)


def _texts(edit: Edit, own: Sequence[set[str]]) -> Iterator[tuple[str, str, Collection[str]]]:
    """Every prompt: its place, its text, and the words that can stand in it."""
    every = set().union(*own)
    yield "prompt", edit.prompt, every
    yield "negative", edit.negative, every
    for index, (region, known) in enumerate(zip(edit.regions, own, strict=True)):
        yield f"regions[{index}].prompt", region.prompt or "", known
        yield f"regions[{index}].negative", region.negative or "", every


def _found(text: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    for pattern, hint in _FOREIGN.items():
        if match := pattern.search(text):
            yield match[0], hint
    for word in dict.fromkeys(_WORD.findall(text)):
        if word not in known:
            there = ", ".join(sorted(known)) or "none"
            yield word, f"words that styles have learned for this text: {there}"
