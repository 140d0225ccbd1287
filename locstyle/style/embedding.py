"""Textual-inversion embeddings of other tools (A1111, kohya, diffusers) as learned words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.kinds import NAMELESS, TWO_ENCODERS
from locstyle.style.fit import FLOATS, Coverage, Match
from locstyle.style.style import Style

_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_BUNDLED = re.compile(r"^bundle_emb\.(?P<word>.+)\.(?P<part>string_to_param\.\*|[^.]+)$")


def read_embedding(
    file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor], family: str | None
) -> tuple[Style, Coverage]:
    """The words in another tool's file, each answering to "<name>".

    Raises:
        StyleError: of another family, or no table of floats; or of SDXL's two encoders only one.
    """
    words = _words(file, tensors)
    widths = {vectors.shape[-1] for vectors in words.values()}
    made_for = _WIDTHS.get(max(widths), "")
    match = Match(file, made_for, family)
    if family is not None and made_for and made_for != family:
        raise StyleError(f"{file}: {match}; its words are {max(widths)} numbers wide")
    meta = {"trigger": " ".join(words)}
    if licence := header.get("modelspec.license"):
        meta["licence"] = licence
    return Style(file.stem, family or made_for, meta=meta, words=words), Coverage(tuple(tensors))


def bundled(file: Path, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The words that lie in a LoRA file beside its updates, and the keys they are under.

    Raises:
        StyleError: as `read_embedding`.
    """
    tables: dict[str, dict[str, Tensor]] = {}
    keys = []
    for key, tensor in tensors.items():
        if found := _BUNDLED.match(key):
            part = found["part"] if found["part"] in TWO_ENCODERS else ""
            tables.setdefault(found["word"], {})[part] = tensor
            keys.append(key)
    return {_placeholder(name): _joined(file, name, one) for name, one in tables.items()}, keys


def _words(file: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Vectors [n, d] by placeholder."""
    if set(tensors) & set(TWO_ENCODERS):
        return {_placeholder(file.stem): _joined(file, file.stem, tensors)}
    names = {key: file.stem if key == NAMELESS else key for key in tensors}
    return {
        _placeholder(name): _joined(file, key, {"": tensors[key]}) for key, name in names.items()
    }


def _placeholder(name: str) -> str:
    name = "-".join(name.split())
    return name if re.fullmatch(r"<[^<>]+>", name) else f"<{name}>"


def _joined(file: Path, name: str, tables: Mapping[str, Tensor]) -> Tensor:
    """The vectors [n, d] of one word; those of SDXL's two encoders side by side, as its text states
    are."""
    for key, table in tables.items():
        if table.dtype not in FLOATS or not table.numel() or table.ndim not in (1, 2):
            raise StyleError(
                f"{file}: {key or name!r} is {table.dtype} of shape {tuple(table.shape)}; words "
                "are a table of floats"
            )
    if set(tables) == {""}:
        return _rows(tables[""])
    parts = [_rows(tables[key]) for key in TWO_ENCODERS if key in tables]
    if set(tables) != set(TWO_ENCODERS):
        shapes = [tuple(part.shape) for part in parts]
        raise StyleError(
            f"{file}: words for SDXL are two tables, clip_l and clip_g; it has "
            f"{', '.join(map(repr, sorted(tables)))} of shapes {shapes}"
        )
    if len(parts[0]) != len(parts[1]):
        raise StyleError(
            f"{file}: clip_l has {len(parts[0])} vectors and clip_g {len(parts[1])}; SDXL reads "
            "them side by side, as many of each"
        )
    return torch.cat([part.to(parts[0].dtype) for part in parts], 1)


def _rows(table: Tensor) -> Tensor:
    """One vector is a table of one row."""
    return table[None] if table.ndim == 1 else table
