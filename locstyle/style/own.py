"""Our own layout of style files, read back; `Style.tensors` and `Style.save` write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta, Gain, Tokens
from locstyle.style.fit import FLOATS, NORMS, Coverage, Match
from locstyle.style.header import is_for_others
from locstyle.style.reference import Reference
from locstyle.style.style import ANY, Style
from locstyle.style.tensors import FORMAT, STRUCTURE

if TYPE_CHECKING:
    from locstyle.engine.sites import Sites

_KEYS = tuple(
    re.compile(rf"^(?P<kind>{kind})\.(?P<name>{name})(?P<part>{part})$")
    for kind, name, part in (
        ("deltas", ".+", r"\.(down|up|scale|bias)"),
        ("text", ".+", r"\.(down|up|scale|bias)"),
        ("tokens", ".+", r"\.(k|v)"),
        ("references", r"\d+", r"\.(pixels|area)"),
        ("norms", ".+", r"\.(weight|bias)"),
        ("words", ".+", ""),
    )
)
_Parts = Mapping[str, Mapping[str, Tensor]]
"""Tensors by what they belong to (a site, a number, a placeholder) and their part of it."""


def read_own(
    match: Match,
    header: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    sites: Sites | None,
    text_sites: Sites | None = None,
) -> tuple[Style, Coverage]:
    """A file in our own format; the backbone's own checks apply only where one is given."""
    if header["locstyle.format"] != FORMAT:
        raise StyleError(
            f"{match.file}: style format {header['locstyle.format']!r}; this locstyle reads "
            f"{FORMAT!r}, a newer one may read it"
        )
    if match.family is not None and match.made_for not in (match.family, ANY):
        raise StyleError(f"{match.file}: {match}; train the style again for this backbone")
    kinds, coverage = _by_kind(tensors, {"text": text_sites}, sites)
    match.require_some(coverage)
    deltas = _deltas(match, kinds["deltas"], sites)
    said = {key: value for key, value in header.items() if not is_for_others(key)}
    meta = {key: value for key, value in said.items() if key not in STRUCTURE}
    try:
        style = Style(
            header.get("name", match.file.stem),
            match.made_for,
            deltas,
            meta,
            references=_references(kinds["references"]),
            words={name: part[""] for name, part in kinds["words"].items()},
            tokens=_tokens(kinds["tokens"], sites),
            text=_deltas(match, kinds["text"], text_sites),
            norms=_norms(kinds["norms"]),
        )
    except StyleError as error:
        raise StyleError(f"{match.file}: {error}") from error
    return style, coverage


def _by_kind(
    tensors: Mapping[str, Tensor], others: Mapping[str, Sites | None], usual: Sites | None
) -> tuple[dict[str, dict[str, dict[str, Tensor]]], Coverage]:
    kinds: dict[str, dict[str, dict[str, Tensor]]] = {
        kind: {} for kind in ("deltas", "tokens", "references", "words", "text", "norms")
    }
    applied, unmatched, unsupported = [], [], []
    for key, tensor in tensors.items():
        found = next(filter(None, (pattern.match(key) for pattern in _KEYS)), None)
        sites = usual if found is None else others.get(found["kind"], usual)
        if found is None:
            unsupported.append(key)
        elif sites is not None and not _acts(found["kind"], found["name"], sites):
            unmatched.append(key)
        else:
            named = kinds[found["kind"]].setdefault(found["name"], {})
            named[found["part"].removeprefix(".")] = tensor
            applied.append(key)
    return kinds, Coverage(tuple(applied), tuple(unmatched), tuple(unsupported))


def _acts(kind: str, name: str, sites: Sites) -> bool:
    """Whether the backbone has what the tensor changes."""
    if kind in ("deltas", "text"):
        return name in sites and bool(sites[name].shape)
    if kind == "norms":
        return name in sites and sites[name].role in NORMS
    return kind != "tokens" or (name in sites and sites[name].role == "cross")


def _deltas(match: Match, parts: _Parts, sites: Sites | None) -> dict[str, Delta]:
    deltas = {}
    for name, part in parts.items():
        down, up = match.pair(name, part)
        if sites is not None:
            down, up = match.fit(sites[name], down, up)
        if "scale" not in part:
            raise StyleError(f"{match.file}: {name!r} has no scale; the file is incomplete")
        scale = match.one_number(f"{name}.scale", part["scale"])
        deltas[name] = match.delta(name, down, up, scale, match.bias(name, part, up.shape[0]))
    return deltas


def _norms(parts: _Parts) -> dict[str, Gain]:
    for name, part in parts.items():
        if set(part) != {"weight", "bias"} or not all(t.dtype in FLOATS for t in part.values()):
            raise StyleError(f"norm {name}: need weight and bias, both floats")
    return {name: Gain(**part) for name, part in parts.items()}


def _tokens(parts: _Parts, sites: Sites | None) -> dict[str, Tokens]:
    tokens = {}
    for name, part in parts.items():
        if set(part) != {"k", "v"} or not all(tensor.dtype in FLOATS for tensor in part.values()):
            raise StyleError(f"tokens of {name}: need k and v, both floats")
        tokens[name] = Tokens(**part)
        found, keys = tokens[name].k.shape[1], f"{name}.to_k"
        if sites is not None and keys in sites and sites[keys].shape[0] != found:
            raise StyleError(
                f"tokens of {name}: {found} wide, this backbone's keys are {sites[keys].shape[0]}"
            )
    return tokens


def _references(parts: _Parts) -> tuple[Reference, ...]:
    """In the order of their numbers, which count from 0."""
    found = [parts.get(str(number), {}) for number in range(len(parts))]
    for number, part in enumerate(found):
        if "pixels" not in part:
            raise StyleError(f"reference {number} has no pixels; the file is incomplete")
    return tuple(Reference(part["pixels"], part.get("area")) for part in found)
