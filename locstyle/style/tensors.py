"""The tensors of a style file by name, and its bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta

FORMAT = "1"
STRUCTURE = frozenset({"locstyle.format", "name", "family", "kind", "rank"})
"""Keys of the header that say what the file is; the others are free text."""


def tensors_of(deltas: Mapping[str, Delta]) -> dict[str, Tensor]:
    """The tensors of a file by name; scales are float64 so that they come back exactly."""
    tensors = {}
    for site, delta in deltas.items():
        if not math.isfinite(delta.scale):
            raise StyleError(f"site {site}: scale {delta.scale} is not finite")
        tensors[f"deltas.{site}.down"] = delta.down.detach().cpu().contiguous()
        tensors[f"deltas.{site}.up"] = delta.up.detach().cpu().contiguous()
        tensors[f"deltas.{site}.scale"] = torch.tensor(delta.scale, dtype=torch.float64)
    return tensors


def file_bytes(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """A safetensors file; the same tensors and header give the same bytes.

    The header is sorted: the library writes it in random order.
    """
    data: bytes = safetensors.torch.save(dict(tensors), metadata=dict(header))
    length = int.from_bytes(data[:8], "little")
    ordered = json.dumps(
        json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")
    ).encode()
    ordered += b" " * (-len(ordered) % 8)  # the tensors stay aligned
    return len(ordered).to_bytes(8, "little") + ordered + data[8 + length :]
