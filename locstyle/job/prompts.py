"""What other tools read in a prompt and we do not: said, where a user would otherwise wonder."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence

from locstyle.edit import Edit
from locstyle.edit.checks import PLAIN
from locstyle.engine.backbones.marks import read_marks
from locstyle.errors import LocstyleWarning, at
from locstyle.style import Style

_MARKS = {
    re.compile(r"\([^()]*:\s*[\d.]+\s*\)"): "give `prompts: weighted`",
    re.compile(r"\bBREAK\b"): "give `prompts: weighted`",
}
"""Marks that have a meaning, unless prompts are read as they stand."""

_FOREIGN = {
    re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>"): "give the file as the style of a region",
    re.compile(r"\[[^\[\]]*:\s*[\d.]+\s*\]"): "the window of a style says when it acts",
    re.compile(r"\[[^\[\]]*\|[^\[\]]*\]"): "give two styles with a window each",
    re.compile(r"\([^()]*:\s*[-+]?\d+,\d+\s*\)"): "weights have a point, as in (word:1.3)",
    re.compile(r"\bAND\b"): "each region may have a prompt of its own",
}
_NAME = re.compile(r"<[^<>\s]+>")
_WORD = re.compile(r"<[^<>\s:]+>")


def warn_of_syntax(edit: Edit, styles: Sequence[Sequence[Style]]) -> None:
    """Says which marks in the prompts have no meaning here, and which words are unknown.

    `styles`: of each region of the edit.

    Raises:
        RecipeError: a weight that is too large.
    """
    foreign = _FOREIGN if edit.prompts != PLAIN else _FOREIGN | _MARKS
    own = [{word for style in group for word in style.words} for group in styles]
    for place, text, known in _texts(edit, own):
        if edit.prompts != PLAIN:
            with at(place):
                read_marks(text, known)
        for found, hint in _found(text, known, foreign):
            said = f"{found!r} has no meaning here and is read as it stands; {hint}"
            warnings.warn(LocstyleWarning(said, place=place), stacklevel=3)


def check_weights(edit: Edit) -> None:
    """Refuses weights that are too large before any style is read; names in angle brackets may be
    words that one has learned, and are taken for such.

    Raises:
        RecipeError: says where, and what is accepted.
    """
    if edit.prompts == PLAIN:
        return
    for place, text, _ in _texts(edit, [set() for _ in edit.regions]):
        with at(place):
            read_marks(text, set(_NAME.findall(text)))


def warn_of_marks(prompt: str) -> None:
    """Says which marks stand in a prompt that a style is learned under, where none has a meaning:
    the same text is said as it stands wherever the style is used."""
    for pattern in _MARKS:
        if match := pattern.search(prompt):
            said = (
                f"{match[0]!r} has no meaning in a training and is learned as it stands; "
                "leave the mark out, and weigh words in the prompts of edits"
            )
            warnings.warn(LocstyleWarning(said, place="prompt"), stacklevel=3)


def _texts(edit: Edit, own: Sequence[set[str]]) -> Iterator[tuple[str, str, Collection[str]]]:
    """Every prompt: its place, its text, and the words that can stand in it."""
    every = set().union(*own)
    yield "prompt", edit.prompt, every
    yield "negative", edit.negative, every
    for index, (region, known) in enumerate(zip(edit.regions, own, strict=True)):
        yield f"regions[{index}].prompt", region.prompt or "", known
        yield f"regions[{index}].negative", region.negative or "", every


def _found(
    text: str, known: Collection[str], foreign: Mapping[re.Pattern[str], str]
) -> Iterator[tuple[str, str]]:
    for pattern, hint in foreign.items():
        if match := pattern.search(text):
            yield match[0], hint
    for word in dict.fromkeys(_WORD.findall(text)):
        if word not in known:
            there = ", ".join(sorted(known)) or "none"
            yield word, f"words that styles have learned for this text: {there}"
