"""LoRA files of other tools (PEFT, diffusers, kohya) as styles, with a report of what applies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any  # a layer's weight is untyped

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta, Gain
from locstyle.style.embedding import bundled
from locstyle.style.fit import NORMS, Coverage, Match
from locstyle.style.keys import form_of, is_text_key, part_of, spellings, text_spellings
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
    updates = Updates(match, Scaling(match, header, tensors), beside, tensors)
    words, beside_updates = bundled(file, tensors)
    unet, text = _modules({k: v for k, v in tensors.items() if k not in beside_updates})
    norms, taken = _norms(match, beside, unet, tensors)
    of_unet = _Found(updates, spellings(site.name for site in beside.sites if site.shape))
    of_unet.take({module: parts for module, parts in unet.items() if module not in taken})
    of_text = _Found(updates, text_spellings([site.name for site in beside.text_sites]))
    of_text.take(text)
    lost = tuple(of_unet.unsupported + of_text.unsupported + of_text.unmatched)
    of_norms = [key for module in taken for found in unet[module].values() for key in found]
    applied = tuple(of_unet.applied + of_norms + of_text.applied + beside_updates)
    coverage = Coverage(applied, tuple(of_unet.unmatched), lost, updates.notes())
    match.require_some(coverage)
    meta = {ours: header[theirs] for theirs, ours in _META.items() if header.get(theirs)}
    if words:
        meta.setdefault("trigger", " ".join(words))
    family = beside.family or match.made_for
    return (
        Style(
            file.stem,
            family,
            of_unet.deltas,
            meta,
            words=words,
            text=of_text.deltas,
            norms=norms,
        ),
        coverage,
    )


def _norms(
    match: Match, beside: Beside, modules: _Modules, tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Gain], list[str]]:
    """What norms of the backbone gain, by site, and as which modules the file has them."""
    table = spellings(site.name for site in beside.sites if site.role in NORMS)
    gains: dict[str, Gain] = {}
    taken = []
    for module, parts in modules.items():
        keys = [key for found in parts.values() for key in found]
        held = {part_of(key).tail: tensors[key] for key in keys}
        name = table.get(module)
        if beside.backbone is None or name is None or not set(held) <= {"w_norm", "b_norm"}:
            continue
        if name in gains:
            raise StyleError(f"{match.file}: several updates for {name}, one of them {keys[0]!r}")
        norm: Any = beside.backbone.layer(name)
        gains[name] = match.gain(name, held, len(norm.weight))
        taken.append(module)
    return gains, taken


class _Found:
    """What is found of a file among the sites of one network: deltas, and what became of keys."""

    def __init__(self, updates: Updates, table: Mapping[str, str]) -> None:
        self._updates, self._table = updates, table
        self.deltas: dict[str, Delta] = {}
        self.applied: list[str] = []
        self.unmatched: list[str] = []
        self.unsupported: list[str] = []

    def take(self, modules: Mapping[str, Mapping[str, list[str]]]) -> None:
        """Look at the keys of modules, by what they hold."""
        for module, parts in modules.items():
            keys = [key for found in parts.values() for key in found]
            name = self._table.get(module)
            if any((form := form_of(key)) and not form.is_change for key in keys):
                self.unsupported += keys
            elif name is None:
                self.unmatched += keys
            else:
                self._updates.check_alone(name, self.deltas, parts)
                self.deltas[name] = self._updates.delta(name, parts)
                self.applied += keys


_Modules = dict[str, dict[str, list[str]]]
"""Keys by module and part."""


def _modules(tensors: Mapping[str, Tensor]) -> tuple[_Modules, _Modules]:
    """Those of the denoising network, and those of text encoders."""
    unet: _Modules = {}
    text: _Modules = {}
    for key in tensors:
        part = part_of(key)
        found = text if is_text_key(key) else unet
        found.setdefault(part.module, {}).setdefault(part.name, []).append(key)
    return unet, text


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
