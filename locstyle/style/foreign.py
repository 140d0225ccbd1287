"""LoRA files of other tools (PEFT, diffusers, kohya) as styles, with a report of what applies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta
from locstyle.style.fit import Coverage, Match
from locstyle.style.keys import form_of, is_text_key, part_of, spellings
from locstyle.style.scaling import Scaling
from locstyle.style.style import Style
from locstyle.style.updates import Beside, Updates

_FAMILY_SIGNS = (
    ("xl", "sdxl"),
    ("sd_v1", "sd1"),
    ("diffusion-v1", "sd1"),
    ("sd_v2", "sd2"),
    ("diffusion-v2", "sd2"),
)
_TEXT_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_META = {  # the keys of Stability AI's model metadata standard → ours
    "modelspec.trigger_phrase": "trigger",
    "modelspec.license": "licence",
    "modelspec.thumbnail": "preview",
    "modelspec.author": "author",
}


def read_foreign(
    file: Path,
    header: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    beside: Beside,
) -> tuple[Style, Coverage]:
    """The style in another tool's file: every layer it names is looked up among the sites.

    Raises:
        StyleError: wrong shapes, half an update, two updates for one layer, or nothing applies; or
            a library that its form needs is not there.
    """
    match = Match(file, _made_for(header, tensors), beside.family)
    table = spellings(site.name for site in beside.sites if site.shape)
    modules, unsupported = _modules(tensors)
    applied: list[str] = []
    unmatched: list[str] = []
    deltas: dict[str, Delta] = {}
    updates = Updates(match, Scaling(match, header, tensors), beside, tensors)
    for module, parts in modules.items():
        keys = [key for found in parts.values() for key in found]
        name = table.get(module)
        if any((form := form_of(key)) and not form.is_change for key in keys):
            unsupported += keys
        elif name is None:
            unmatched += keys
        elif name in deltas or any(len(parts[part]) > 1 for part in parts if part != "other"):
            raise StyleError(f"{file}: several updates for {name}, one of them {keys[0]!r}")
        else:
            deltas[name] = updates.delta(name, parts)
            applied += keys
    coverage = Coverage(tuple(applied), tuple(unmatched), tuple(unsupported), updates.notes())
    match.require_some(coverage)
    meta = {ours: header[theirs] for theirs, ours in _META.items() if header.get(theirs)}
    return Style(file.stem, beside.family or match.made_for, deltas, meta), coverage


def _modules(tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """Keys by module and part, and those of text encoders."""
    modules: dict[str, dict[str, list[str]]] = {}
    text = []
    for key in tensors:
        if is_text_key(key):
            text.append(key)
            continue
        part = part_of(key)
        modules.setdefault(part.module, {}).setdefault(part.name, []).append(key)
    return modules, text


def _made_for(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """The family the file was made for as far as it shows, else ""."""
    said = header.get("ss_base_model_version") or header.get("modelspec.architecture") or ""
    for sign, family in _FAMILY_SIGNS:
        if sign in said:
            return family
    for key, tensor in tensors.items():
        part = part_of(key)
        if part.name == "down" and re.search(r"attn2[._]to_k$", part.module) and tensor.ndim > 1:
            return _TEXT_WIDTHS.get(tensor.shape[1], said)
    return said
