"""LoRA files of other tools (PEFT, diffusers, kohya) as styles, with a report of what applies."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta
from locstyle.style.fit import Coverage, Match
from locstyle.style.keys import is_text_key, part_of, spellings
from locstyle.style.style import Style

if TYPE_CHECKING:
    from locstyle.engine.sites import Sites

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
    sites: Sites,
    family: str | None,
) -> tuple[Style, Coverage]:
    """The style in another tool's file: every layer it names is looked up among the sites.

    Raises:
        StyleError: wrong shapes, half an update, two updates for one layer, or nothing applies.
    """
    match = Match(file, _made_for(header, tensors), family)
    table = spellings(site.name for site in sites if site.shape)
    modules, unsupported = _modules(tensors)
    applied: list[str] = []
    unmatched: list[str] = []
    deltas: dict[str, Delta] = {}
    scaling = _Scaling(file, header, tensors)
    for module, parts in modules.items():
        keys = [key for found in parts.values() for key in found]
        name = table.get(module)
        if name is None:
            unmatched += keys
        elif "other" in parts:
            unsupported += keys
        elif name in deltas or any(len(found) > 1 for found in parts.values()):
            raise StyleError(f"{file}: several updates for {name}, one of them {keys[0]!r}")
        else:
            held = {part: tensors[found[0]] for part, found in parts.items()}
            down, up = match.fit(sites[name], *match.pair(keys[0], held))
            deltas[name] = Delta(down, up, scaling.scale(name, held.get("alpha"), down.shape[0]))
            applied += keys
    coverage = Coverage(tuple(applied), tuple(unmatched), tuple(unsupported), scaling.notes())
    match.require_some(coverage)
    meta = {ours: header[theirs] for theirs, ours in _META.items() if header.get(theirs)}
    return Style(file.stem, family or match.made_for, deltas, meta), coverage


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


class _Scaling:
    """The factor before each update: the file's alpha, else its PEFT configuration, else 1."""

    def __init__(
        self, file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor]
    ) -> None:
        self._file = file
        self._config = _peft_config(file, header, tensors)
        self._assumed = 0

    def scale(self, site: str, alpha: Tensor | None, rank: int) -> float:
        if alpha is not None:
            value = float(alpha) / rank if alpha.numel() == 1 else math.nan
        elif self._config is None:
            self._assumed += 1
            value = 1.0
        else:
            value = _peft_scale(self._config, site, rank)
        if not math.isfinite(value):
            raise StyleError(f"{self._file}: {site}: its alpha is not one finite number")
        return value

    def notes(self) -> tuple[str, ...]:
        if not self._assumed:
            return ()
        return (f"no alpha for {self._assumed} layers: alpha = rank assumed, scale 1",)


def _peft_config(
    file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> dict[str, object] | None:
    """PEFT's LoraConfig from the header (diffusers) or from adapter_config.json beside the file."""
    text = header.get("lora_adapter_metadata")
    beside = file.parent / "adapter_config.json"
    is_peft = any(key.startswith("base_model.model.") for key in tensors)
    if text is None and is_peft and beside.is_file():
        text = beside.read_text(encoding="utf-8", errors="replace")
    if text is None:
        return None
    try:
        config = {str(k).removeprefix("unet."): v for k, v in json.loads(text).items()}
        float(config["lora_alpha"])
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise StyleError(
            f"{file}: its adapter configuration has no usable lora_alpha ({error})"
        ) from error
    return config


def _peft_scale(config: Mapping[str, object], site: str, rank: int) -> float:
    """lora_alpha / r with PEFT's per-layer patterns, as huggingface/peft src/peft/tuners/lora."""
    alpha = config["lora_alpha"]
    patterns = config.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if re.match(rf"(.*\.)?({pattern})$", site):
            alpha = value
            break
    return float(str(alpha)) / (math.sqrt(rank) if config.get("use_rslora") else rank)
