"""Learned words: a placeholder in a prompt becomes as many tokens as it has vectors.

Textual inversion, arXiv:2208.01618, without touching the tokenizer or the embedding table: the
vectors replace what the table gave for those tokens, for the length of one `with`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from locstyle.errors import StyleError

Words = Mapping[str, Tensor]
"""Vectors [n, dim] by placeholder, such as "<ink>"."""


@dataclass(eq=False)
class Spelling:
    """A prompt as token numbers, both ends included and padded to the window.

    `used` counts the tokens before the padding; `places` are those that learned `vectors` fill.
    """

    ids: list[int]
    used: int = 0
    cut: str = ""
    places: list[int] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)


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
    spelling.ids.append(tokenizer.eos_token_id)
    spelling.used = len(spelling.ids)
    spelling.ids += [tokenizer.pad_token_id] * (window - spelling.used)
    return spelling


def numbers(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text without its two ends."""
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
