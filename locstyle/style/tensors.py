"""The tensors of a style file by name, and its bytes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.files import bounds, read_file

if TYPE_CHECKING:
    from locstyle.style.data import Delta, Gain, Tokens
    from locstyle.style.reference import Reference

FORMAT = "1"
STRUCTURE = frozenset({"locstyle.format", "name", "family", "kind", "rank"})
"""Keys of the header that say what the file is; the others are free text."""


def named_tensors(
    deltas: Mapping[str, Delta],
    references: Sequence[Reference],
    words: Mapping[str, Tensor],
    extra: Mapping[str, Tokens],
) -> dict[str, Tensor]:
    """What a style carries as the tensors of its file; see `Style.tensors`.

    Raises:
        StyleError: a scale is not finite.
    """
    tensors = of_deltas("deltas", deltas)
    for number, reference in enumerate(references):
        tensors[f"references.{number}.pixels"] = reference.pixels
        if reference.area is not None:
            tensors[f"references.{number}.area"] = reference.area
    tensors |= {f"words.{placeholder}": vectors for placeholder, vectors in words.items()}
    for site, tokens in extra.items():
        tensors |= {f"tokens.{site}.k": tokens.k, f"tokens.{site}.v": tokens.v}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def of_deltas(kind: str, deltas: Mapping[str, Delta]) -> dict[str, Tensor]:
    """Deltas as tensors of a file; scales are float64 so that they come back exactly.

    Raises:
        StyleError: a scale is not finite.
    """
    tensors: dict[str, Tensor] = {}
    for site, delta in deltas.items():
        if not math.isfinite(delta.scale):
            raise StyleError(f"site {site}: scale {delta.scale} is not finite")
        scale = torch.tensor(delta.scale, dtype=torch.float64)
        tensors |= {f"{kind}.{site}.down": delta.down, f"{kind}.{site}.up": delta.up}
        tensors[f"{kind}.{site}.scale"] = scale
        if delta.bias is not None:
            tensors[f"{kind}.{site}.bias"] = delta.bias
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def of_gains(norms: Mapping[str, Gain]) -> dict[str, Tensor]:
    """What norms gain, as tensors of a file."""
    tensors: dict[str, Tensor] = {}
    for site, gain in norms.items():
        tensors |= {f"norms.{site}.weight": gain.weight, f"norms.{site}.bias": gain.bias}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a safetensors file, read once and kept in memory.

    Not mapped: a file that changes or goes while a run goes on would change the run, or end it.

    Raises:
        OSError: it cannot be read; `strerror` says why.
        ValueError: it is no safetensors file.
    """
    data = read_file(path, bounds.STYLE_BYTES)
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except Exception as error:  # its reader raises kinds of its own, and torch's on top
        raise ValueError(str(error) or type(error).__name__) from error
    return dict(header.get("__metadata__") or {}), tensors


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
