"""The factor before each update of a LoRA file, as the file or its adapter configuration says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from locstyle.errors import StyleError, shown
from locstyle.files import bounds, is_file, read_text
from locstyle.style.fit import Match
from locstyle.style.patterns import Patterns


class Scaling:
    """The factor before each update: the file's alpha, else its PEFT configuration, else 1."""

    def __init__(
        self, match: Match, header: Mapping[str, str], tensors: Mapping[str, Tensor]
    ) -> None:
        self._match = match
        self._config = AdapterConfig.read(match.file, header, tensors)
        self._assumed = 0

    @property
    def said(self) -> Mapping[str, Any]:
        """The adapter configuration as it stands, {} where there is none."""
        return self._config.said if self._config else {}

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
class AdapterConfig:
    """What PEFT's LoraConfig says of scales: lora_alpha / r, with patterns for single layers.

    `said` is all of it; other kinds of adapters are asked no more.
    """

    alpha: float
    patterns: Patterns
    is_rank_stabilised: bool
    said: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls, file: Path, header: Mapping[str, str], tensors: Mapping[str, Tensor]
    ) -> AdapterConfig | None:
        """From the header (diffusers) or from adapter_config.json beside the file; None if neither.

        Raises:
            StyleError: it cannot be read, or says no usable alpha.
        """
        try:
            text = _config_text(file, header, tensors)
            if text is None:
                return None
            config = {str(k).removeprefix("unet."): v for k, v in json.loads(text).items()}
            if config.get("peft_type", "LORA") != "LORA":
                return cls(1.0, Patterns({}), False, config)
            given = config.get("alpha_pattern") or {}
            patterns = Patterns({str(p): _alpha(value) for p, value in given.items()})
            is_stabilised = bool(config.get("use_rslora"))
            return cls(_alpha(config["lora_alpha"]), patterns, is_stabilised, config)
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
