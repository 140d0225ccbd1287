"""Marks in a prompt, as the web UIs read them: how much words weigh, and where a window ends.

`(word)` weighs 1.1, `[word]` 1/1.1, `(word:1.3)` 1.3, all of them inside each other; `\\(` is a
parenthesis, and BREAK begins the next window. The grammar is that of
AUTOMATIC1111/stable-diffusion-webui modules/prompt_parser.py (`parse_prompt_attention`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from locstyle.errors import RecipeError

STEP = 1.1
"""What a pair of parentheses multiplies by, and a pair of brackets divides by."""

MOST = 10.0
"""The largest weight, either way; beyond, nothing is a picture any more."""

# Both are read in time linear in the text: spaces from where they begin, digits in one way.
_BREAK = re.compile(r"(?:(?<!\s)\s+)?\bBREAK\b\s*")
_WEIGHT = r":\s*(?P<weight>[-+]?(?:\d+(?:\.\d*)?|\.\d+))\s*\)"
_MARK = rf"\\(?P<escaped>[()\[\]\\])|{_WEIGHT}|(?P<mark>[()\[\]])"


class Stretch(NamedTuple):
    """A part of a prompt whose words weigh alike."""

    text: str
    weight: float = 1.0


class _Span(NamedTuple):
    """Texts from number `start` to before `stop` that a pair of marks multiplies by `factor`."""

    start: int
    stop: int
    factor: float


Parts = list[list[Stretch]]
"""A prompt's parts between BREAKs, each of pieces one after another."""


def read_marks(prompt: str, words: Collection[str] = ()) -> Parts:
    """What a prompt says, its marks understood; `words` are names in it that have none.

    A parenthesis that is never closed counts to the end, one that was never opened is text.

    Raises:
        RecipeError: a weight beyond `MOST`.
    """
    pieces = _pieces(prompt, words)
    for piece in pieces:
        if not abs(piece.weight) <= MOST:
            raise RecipeError(
                f"{piece.text[:40]!r} weighs {piece.weight:g}; give weights from {-MOST:g} to "
                f"{MOST:g}, \\( for a parenthesis, or `prompts: plain` where none are meant"
            )
    parts: Parts = [[]]
    for text, weight in pieces:
        first, *others = _BREAK.split(text)
        _add(parts[-1], Stretch(first, weight))
        for one in others:
            parts.append([])
            _add(parts[-1], Stretch(one, weight))
    return [part for part in parts if part] or [[Stretch("")]]


def unmarked(prompt: str, words: Collection[str] = ()) -> str | None:
    """The text of a prompt in which everything weighs alike; None of one that has weights or more
    than one part."""
    parts = read_marks(prompt, words)
    alike = len(parts) == 1 and all(piece.weight == 1 for piece in parts[0])
    return "".join(piece.text for piece in parts[0]) if alike else None


def escaped(text: str) -> str:
    """A text of which nothing is a mark."""
    return _BREAK.sub(" ", re.sub(r"([()\[\]\\])", r"\\\1", text))


def _pieces(prompt: str, words: Collection[str]) -> list[Stretch]:
    """The prompt's texts with their weights, as long as they can be."""
    texts: list[str] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}  # how many texts stand before each
    spans: dict[str, list[_Span]] = {"(": [], "[": []}
    for text, mark, weight in _tokens(prompt, words):
        if mark in opened:
            opened[mark].append(len(texts))
        elif mark == ")" and opened["("]:
            spans["("].append(_Span(opened["("].pop(), len(texts), weight))
        elif mark == "]" and opened["["]:
            spans["["].append(_Span(opened["["].pop(), len(texts), 1 / STEP))
        else:
            texts.append(text)
    for mark, factor in (("(", STEP), ("[", 1 / STEP)):
        spans[mark] += (_Span(start, len(texts), factor) for start in opened[mark])
    found: list[Stretch] = []
    both = (_factors(one, len(texts)) for one in spans.values())
    for text, rounds, squares in zip(texts, *both, strict=True):
        _add(found, Stretch(text, rounds * squares))
    return found


def _factors(spans: Collection[_Span], count: int) -> Iterator[float]:
    """What spans, apart or inside each other, multiply each of so many texts by, in linear time."""
    to_come = sorted((one for one in spans if one.start < one.stop), key=_outer_last)
    around = [(count, 1.0)]  # where each ends, and the product up to it
    for index in range(count):
        while around[-1][0] <= index:
            around.pop()
        while to_come and to_come[-1].start == index:
            one = to_come.pop()
            around.append((one.stop, around[-1][1] * one.factor))
        yield around[-1][1]


def _outer_last(span: _Span) -> tuple[int, int]:
    return -span.start, span.stop


def _tokens(prompt: str, words: Collection[str]) -> Iterator[tuple[str, str, float]]:
    """The prompt's texts and marks in order: (text, mark or "", what a closing mark multiplies)."""
    names = "|".join(re.escape(name) for name in sorted(words, key=len, reverse=True))
    end = 0
    for found in re.finditer(f"(?P<word>{names or '(?!)'})|{_MARK}", prompt):
        if found.start() > end:
            yield prompt[end : found.start()], "", 1.0
        end = found.end()
        if plain := found["word"] or found["escaped"]:
            yield plain, "", 1.0
        elif found["weight"]:
            yield found[0], ")", float(found["weight"])
        else:
            yield found[0], found["mark"], STEP
    if end < len(prompt):
        yield prompt[end:], "", 1.0


def _add(pieces: list[Stretch], piece: Stretch) -> None:
    """Puts a piece behind others, as one with the last where that weighs alike."""
    if pieces and pieces[-1].weight == piece.weight:
        pieces[-1] = Stretch(pieces[-1].text + piece.text, piece.weight)
    elif piece.text:
        pieces.append(piece)
