"""Textual-inversion embeddings of other tools (A1111, kohya, diffusers) as learned words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.fit import FLOATS, Coverage, Match
from locstyle.style.style import Style

_WIDTHS = {768: "sd1", 1024: "sd2"}
_TWO_ENCODERS = frozenset({"clip_l", "clip_g"})
_NAMELESS = "emb_params"  # how A1111 and kohya call the one tensor; the word is the file's name


def is_embedding(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file holds learned words and nothing else: one table under a name without dots."""
    if set(tensors) & _TWO_ENCODERS:
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
        StyleError: for two text encoders (SDXL), of another family, or no table of floats.
    """
    if set(tensors) & _TWO_ENCODERS:
        raise StyleError(
            f"{file}: words for the two text encoders of SDXL, which is not supported yet"
        )
    ((key, vectors),) = tensors.items()
    vectors = vectors[None] if vectors.ndim == 1 else vectors
    made_for = _WIDTHS.get(vectors.shape[1], "")
    match = Match(file, made_for, family)
    if family is not None and made_for and made_for != family:
        raise StyleError(f"{file}: {match}; its words are {vectors.shape[1]} numbers wide")
    if vectors.dtype not in FLOATS or not vectors.numel():
        raise StyleError(
            f"{file}: {key!r} is {vectors.dtype} of shape {tuple(vectors.shape)}; words are a "
            "table of floats"
        )
    name = "-".join((file.stem if key == _NAMELESS else key).split())
    placeholder = name if re.fullmatch(r"<[^<>]+>", name) else f"<{name}>"
    meta = {"trigger": placeholder}
    if licence := header.get("modelspec.license"):
        meta["licence"] = licence
    style = Style(file.stem, family or made_for, meta=meta, words={placeholder: vectors})
    return style, Coverage((key,))
