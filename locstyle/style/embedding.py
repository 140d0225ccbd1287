"""Textual-inversion embeddings of other tools (A1111, kohya, diffusers) as learned words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.fit import FLOATS, Coverage, Match
from locstyle.style.style import Style

_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_TWO_ENCODERS = ("clip_l", "clip_g")
_NAMELESS = "emb_params"  # how A1111 and kohya call the one tensor; the word is the file's name


def is_embedding(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file holds learned words and nothing else: one table under a name without dots."""
    if set(tensors) & set(_TWO_ENCODERS):
        return True
    return len(tensors) == 1 and all(
        "." not in key and "lora" not in key and tensor.ndim in (1, 2)
        for key, tensor in tensors.items()
    )


def read_embedding(
    file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor], family: str | None
) -> tuple[Style, Coverage]:
    """The words in another tool's file, answering to "<name>".

    Raises:
        StyleError: of another family, or no table of floats; or of SDXL's two encoders only one.
    """
    keys, vectors = _table(file, tensors)
    key = keys[0]
    made_for = _WIDTHS.get(vectors.shape[1], "")
    match = Match(file, made_for, family)
    if family is not None and made_for and made_for != family:
        raise StyleError(f"{file}: {match}; its words are {vectors.shape[1]} numbers wide")
    if vectors.dtype not in FLOATS or not vectors.numel():
        raise StyleError(
            f"{file}: {key!r} is {vectors.dtype} of shape {tuple(vectors.shape)}; words are a "
            "table of floats"
        )
    is_nameless = key == _NAMELESS or key in _TWO_ENCODERS
    name = "-".join((file.stem if is_nameless else key).split())
    placeholder = name if re.fullmatch(r"<[^<>]+>", name) else f"<{name}>"
    meta = {"trigger": placeholder}
    if licence := header.get("modelspec.license"):
        meta["licence"] = licence
    style = Style(file.stem, family or made_for, meta=meta, words={placeholder: vectors})
    return style, Coverage(keys)


def _table(file: Path, tensors: Mapping[str, Tensor]) -> tuple[tuple[str, ...], Tensor]:
    """The keys of a file's words, and their vectors [n, d]; those of SDXL's two encoders side by
    side, as its text states are."""
    if not set(tensors) & set(_TWO_ENCODERS):
        ((key, vectors),) = tensors.items()
        return (key,), vectors[None] if vectors.ndim == 1 else vectors
    parts = [tensors[key] for key in _TWO_ENCODERS if key in tensors]
    shapes = [tuple(part.shape) for part in parts]
    if set(tensors) != set(_TWO_ENCODERS) or {len(shape) for shape in shapes} != {2}:
        raise StyleError(
            f"{file}: words for SDXL are two tables, clip_l and clip_g; it has "
            f"{', '.join(map(repr, sorted(tensors)))} of shapes {shapes}"
        )
    if shapes[0][0] != shapes[1][0]:
        raise StyleError(
            f"{file}: clip_l has {shapes[0][0]} vectors and clip_g {shapes[1][0]}; SDXL reads them "
            "side by side, as many of each"
        )
    return _TWO_ENCODERS, torch.cat([part.to(parts[0].dtype) for part in parts], 1)
