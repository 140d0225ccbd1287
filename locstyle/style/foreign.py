"""LoRA files of other tools (PEFT, diffusers, kohya) as styles, with a report of what applies."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from locstyle.errors import StyleError, shown
from locstyle.files import bounds, is_file, read_text
from locstyle.style.data import Delta
from locstyle.style.fit import Coverage, Match
from locstyle.style.keys import is_text_key, part_of, spellings
from locstyle.style.patterns import Patterns
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
    scaling = _Scaling(match, header, tensors)
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
            scale = scaling.scale(name, held.get("alpha"), down.shape[0])
            deltas[name] = match.delta(keys[0], down, up, scale)
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
        self, match: Match, header: Mapping[str, str], tensors: Mapping[str, Tensor]
    ) -> None:
        self._match = match
        self._config = _Config.read(match.file, header, tensors)
        self._assumed = 0

    def scale(self, site: str, alpha: Tensor | None, rank: int) -> float:
        if alpha is not None:
            return self._match.one_number(f"{site}.alpha", alpha) / rank
        if self._config is None:
            self._assumed += 1
            return 1.0
        return self._config.scale(site, rank)

    def notes(self) -> tuple[str, ...]:
        if not self._assumed:
            return ()
        return (f"no alpha for {self._assumed} layers: alpha = rank assumed, scale 1",)


@dataclass(frozen=True, eq=False)
class _Config:
    """What PEFT's LoraConfig says of scales: lora_alpha / r, with patterns for single layers."""

    alpha: float
    patterns: Patterns
    is_rank_stabilised: bool

    @classmethod
    def read(
        cls, file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor]
    ) -> _Config | None:
        """From the header (diffusers) or from adapter_config.json beside the file; None if neither.

        Raises:
            StyleError: it cannot be read, or says no usable alpha.
        """
        try:
            text = _config_text(file, header, tensors)
            if text is None:
                return None
            config = {str(k).removeprefix("unet."): v for k, v in json.loads(text).items()}
            given = config.get("alpha_pattern") or {}
            patterns = Patterns({str(p): _alpha(value) for p, value in given.items()})
            return cls(_alpha(config["lora_alpha"]), patterns, bool(config.get("use_rslora")))
        except OSError as error:
            raise StyleError(
                f"{file}: its adapter configuration cannot be read ({error.strerror or error})"
            ) from error
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            raise StyleError(
                f"{file}: its adapter configuration has no usable lora_alpha or alpha_pattern "
                f"({error})"
            ) from error

    def scale(self, site: str, rank: int) -> float:
        """lora_alpha / r, or / √r, as huggingface/peft src/peft/tuners/lora."""
        alpha = self.patterns.find(site)
        own = self.alpha if alpha is None else float(alpha)
        return own / (math.sqrt(rank) if self.is_rank_stabilised else rank)


def _config_text(
    file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> str | None:
    text = header.get("lora_adapter_metadata")
    beside = file.parent / "adapter_config.json"
    is_peft = any(key.startswith("base_model.model.") for key in tensors)
    if text is None and is_peft and is_file(beside):
        return read_text(beside, bounds.TEXT_BYTES)
    return text


def _alpha(value: object) -> float:
    """Raises ValueError for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"alpha {shown(value)}")
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"alpha {shown(value)}") from error
    if not math.isfinite(number):
        raise ValueError(f"alpha {shown(value)}")
    return number
