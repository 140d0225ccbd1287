"""Learned words: a placeholder in a prompt becomes as many tokens as it has vectors.

Textual inversion, arXiv:2208.01618, without touching the tokenizer or the embedding table: the
vectors replace what the table gave for those tokens, for the length of one `with`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from locstyle.engine.backbones.marks import Parts, Stretch
from locstyle.errors import RecipeError, StyleError, shown

Words = Mapping[str, Tensor]
"""Vectors [n, dim] by placeholder, such as "<ink>"."""


@dataclass(eq=False)
class Spelling:
    """A prompt as token numbers, both ends included and padded to the window.

    `used` counts the tokens before the padding; `places` are those that learned `vectors` fill.
    `weights` say how much each token weighs, where they are not all 1.
    """

    ids: list[int]
    used: int = 0
    cut: str = ""
    places: list[int] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Unit:
    """Tokens that stay together: a word, or a learned one under its name."""

    ids: list[int]
    weight: float
    name: str = ""
    vectors: Tensor | None = None


def spell_parts(
    tokenizer: Any, parts: Parts, words: Words, window: int, most: int
) -> list[Spelling]:
    """The tokens of a prompt that was read with its marks, in `most` windows of `window` at most.

    Each part begins a window, and so does a word that does not fit into one; what does not fit into
    all of them is `cut` from the last.
    """
    filled: list[list[_Unit]] = []
    cut: list[_Unit] = []
    for part in parts:
        filled.append([])
        for unit in (one for piece in part for one in _units(tokenizer, piece, words, window - 2)):
            if sum(len(one.ids) for one in filled[-1]) + len(unit.ids) > window - 2:
                filled.append([])
            filled[-1].append(unit)
    filled = [units for units in filled if units] or [[]]
    cut = [unit for units in filled[most:] for unit in units]
    spellings = [_window(tokenizer, units, window) for units in filled[:most]]
    rest = [number for unit in cut for number in unit.ids]
    spellings[-1].cut = tokenizer.decode(rest, skip_special_tokens=True) if rest else ""
    return spellings


def _units(tokenizer: Any, piece: Stretch, words: Words, most: int) -> Iterator[_Unit]:
    """The words of a piece, none longer than `most` tokens."""
    for text in _parts(piece.text, words):
        if (vectors := words.get(text)) is not None:
            kept = vectors[:most]
            yield _Unit([tokenizer.eos_token_id] * len(kept), piece.weight, text, kept)
            continue
        ids: list[int] = []
        for number in numbers(tokenizer, text):
            ids.append(number)
            is_end = str(tokenizer.convert_ids_to_tokens(number)).endswith("</w>")
            if is_end or len(ids) == most:
                yield _Unit(ids, piece.weight)
                ids = []
        if ids:
            yield _Unit(ids, piece.weight)


def _window(tokenizer: Any, units: Sequence[_Unit], window: int) -> Spelling:
    spelling, weights = Spelling([tokenizer.bos_token_id]), [1.0]
    for unit in units:
        start = len(spelling.ids)
        spelling.ids += unit.ids
        weights += [unit.weight] * len(unit.ids)
        if unit.vectors is not None:
            spelling.places += range(start, len(spelling.ids))
            spelling.vectors.append(unit.vectors)
            spelling.spans.setdefault(unit.name, (start, len(spelling.ids)))
    _close(tokenizer, spelling, window)
    if any(weight != 1 for weight in weights):
        spelling.weights = weights + [1.0] * (window - len(weights))
    return spelling


def _close(tokenizer: Any, spelling: Spelling, window: int) -> None:
    """Puts the end behind the tokens, and the padding."""
    spelling.ids.append(tokenizer.eos_token_id)
    spelling.used = len(spelling.ids)
    spelling.ids += [tokenizer.pad_token_id] * (window - spelling.used)


def spell(tokenizer: Any, prompt: str, words: Words, window: int) -> Spelling:
    """The tokens of a prompt in a window of `window`; what does not fit is cut from its end."""
    spelling = Spelling([tokenizer.bos_token_id])
    for part in _parts(prompt, words):
        vectors = words.get(part)
        ids = numbers(tokenizer, part) if vectors is None else [tokenizer.eos_token_id]
        ids = ids if vectors is None else ids * len(vectors)
        start = len(spelling.ids)
        kept = ids[: window - 1 - start]
        if vectors is not None and kept:
            stop = start + len(kept)
            spelling.places += range(start, stop)
            spelling.vectors.append(vectors[: len(kept)])
            spelling.spans.setdefault(part, (start, stop))
        if rest := ids[len(kept) :]:
            end = part if vectors is not None else tokenizer.decode(rest, skip_special_tokens=True)
            spelling.cut = f"{spelling.cut} {end}".strip()
        spelling.ids += kept
    _close(tokenizer, spelling, window)
    return spelling


def numbers(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text without its two ends.

    Raises:
        RecipeError: a text with what is no character: half a pair of UTF-16, a byte in no encoding.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecipeError(f"prompt: got {shown(text)}; give a text in UTF-8") from error
    ids: list[int] = tokenizer(
        text, add_special_tokens=False, truncation=False, verbose=False
    ).input_ids
    return ids


def check_words(words: Words, width: int) -> None:
    """Refuses vectors that do not fit a text encoder of that width."""
    for placeholder, vectors in words.items():
        if vectors.ndim != 2 or vectors.shape[1] != width or not len(vectors):
            raise StyleError(
                f"words {placeholder!r}: vectors of shape {tuple(vectors.shape)}; this backbone's "
                f"text encoder takes [n, {width}], learn the concept again for it"
            )


@contextmanager
def spoken(embedding: nn.Module, spelling: Spelling) -> Iterator[None]:
    """The token embedding gives the learned vectors at their places, inside the `with` only."""

    def rewrite(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        rewritten = output.clone()
        rewritten[:, spelling.places] = torch.cat([v.to(output) for v in spelling.vectors])
        return rewritten

    handle = embedding.register_forward_hook(rewrite) if spelling.places else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _parts(prompt: str, words: Words) -> list[str]:
    """The prompt cut at its placeholders, which are parts of their own; the longest name first."""
    if not words:
        return [prompt]
    names = "|".join(re.escape(name) for name in sorted(words, key=len, reverse=True))
    return [part for part in re.split(f"({names})", prompt) if part.strip()]
