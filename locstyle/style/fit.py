"""Whether what is found in a style file fits the backbone it meets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.files import bounds
from locstyle.style.data import Delta, Gain
from locstyle.style.keys import reason

if TYPE_CHECKING:
    from locstyle.engine.sites import Site

_LARGEST = torch.finfo(torch.float32).max
NORMS = frozenset({"norm", "layernorm"})
"""Roles of sites whose weight is a number a channel."""

FLOATS = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})


@dataclass(frozen=True)
class Coverage:
    """Which keys of a style file act on a backbone: no key is dropped in silence.

    `applied` keys act. `unmatched` keys name a layer this backbone lacks. `unsupported` keys are in
    a form we cannot apply (T-LoRA, VeRA, trained norms, …). `notes` say what had to be assumed.
    """

    applied: tuple[str, ...]
    unmatched: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not (self.unmatched or self.unsupported)

    def describe(self) -> str:
        """A table: how many keys of each kind, why, and one of them."""
        groups: dict[tuple[str, str], list[str]] = {}
        for key in self.applied:
            groups.setdefault(("applied", ""), []).append(key)
        for key in self.unmatched:
            groups.setdefault(("unmatched", "no such layer in this backbone"), []).append(key)
        for key in self.unsupported:
            groups.setdefault(("unsupported", reason(key)), []).append(key)
        lines = [
            f"{state:<12}{len(keys):>6}  {(why + ': ' if why else '') + 'e.g. ' + keys[0]}"
            for (state, why), keys in groups.items()
        ]
        return "\n".join(lines + [f"{'note':<12}{'':>6}  {note}" for note in self.notes])


@dataclass(frozen=True)
class Match:
    """A style file beside a backbone, for error messages: what it was made for, what it meets."""

    file: Path
    made_for: str
    family: str | None

    def __str__(self) -> str:
        return (
            f"made for family {self.made_for or 'unknown'!r}, "
            f"this backbone is {self.family or 'unknown'!r}"
        )

    def pair(self, where: str, part: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The two factors of one update, both there and both floats."""
        for side in ("down", "up"):
            if side not in part:
                raise StyleError(
                    f"{self.file}: {where!r} has no {side!r} factor; the file is incomplete"
                )
            if part[side].dtype not in FLOATS:
                raise StyleError(
                    f"{self.file}: {where!r} is {part[side].dtype}; accepted are float16 to float64"
                )
        return part["down"], part["up"]

    def bias(self, where: str, part: Mapping[str, Tensor], out: int) -> Tensor | None:
        """What is added to a layer's bias, one number for each of its outputs."""
        bias = part.get("bias")
        if bias is not None and (tuple(bias.shape) != (out,) or bias.dtype not in FLOATS):
            raise StyleError(
                f"{self.file}: the bias of {where!r} is {bias.dtype} of shape {tuple(bias.shape)}, "
                f"its layer has {out} outputs"
            )
        return bias

    def delta(
        self, where: str, down: Tensor, up: Tensor, scale: float, bias: Tensor | None = None
    ) -> Delta:
        """An update whose numbers a network can hold.

        Raises:
            StyleError: a rank beyond what any layer has, or factors that together overflow.
        """
        rank = down.shape[0] if down.ndim else 0
        if rank > bounds.RANK:
            raise StyleError(
                f"{self.file}: {where!r} has rank {rank}; read are at most {bounds.RANK}"
            )
        largest = [float(one.abs().max()) if one.numel() else 0.0 for one in (down, up)]
        if not abs(scale) * rank * largest[0] * largest[1] <= _LARGEST:  # also where it is nan
            raise StyleError(
                f"{self.file}: {where!r}: scale {scale:g} times its factors is beyond what a "
                "network can hold; the file is damaged"
            )
        return Delta(down, up, scale, bias)

    def gain(self, where: str, part: Mapping[str, Tensor], channels: int) -> Gain:
        """What a norm gains; the weight or the bias may be missing.

        Raises:
            StyleError: another number of channels, no floats, or numbers that are not finite.
        """
        found = {name: part.get(name, torch.zeros(channels)) for name in ("w_norm", "b_norm")}
        for name, tensor in found.items():
            fits = tuple(tensor.shape) == (channels,) and tensor.dtype in FLOATS
            if not fits or not bool(tensor.isfinite().all()):
                raise StyleError(
                    f"{self.file}: {name!r} of {where!r} is {tensor.dtype} of shape "
                    f"{tuple(tensor.shape)}, its norm has {channels} channels; {self}"
                )
        return Gain(*(tensor.float() for tensor in found.values()))

    def one_number(self, where: str, tensor: Tensor) -> float:
        """A scale or an alpha.

        Raises:
            StyleError: it is not one finite number.
        """
        is_real = tensor.numel() == 1 and not tensor.is_complex()
        value = float(tensor) if is_real else math.nan
        if not math.isfinite(value):
            raise StyleError(
                f"{self.file}: {where!r} is {tensor.dtype} of shape {tuple(tensor.shape)}, not one "
                "finite number; the file is damaged"
            )
        return value

    def fit(self, site: Site, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        """The factors in the layout of the site's weight: a 1×1 convolution is a linear layer."""
        out, *inner = site.shape
        if len(inner) == 3 and inner[1:] == [1, 1] and down.ndim == up.ndim == 2:
            down, up = down[..., None, None], up[..., None, None]
        elif len(inner) == 1 and down.shape[2:] == up.shape[2:] == (1, 1):
            down, up = down.flatten(1), up.flatten(1)
        rank = down.shape[0] if down.ndim else 0
        wanted = (out, rank, *([1] * (len(inner) - 1)))
        if rank < 1 or list(down.shape[1:]) != inner or tuple(up.shape) != wanted:
            raise StyleError(
                f"{self.file}: {site.name} has a weight of shape {site.shape}, the file's factors "
                f"are {tuple(down.shape)} and {tuple(up.shape)}; {self}"
            )
        return down, up

    def require_some(self, coverage: Coverage) -> None:
        """Refuses a file of which no key acts."""
        if not coverage.applied:
            table = coverage.describe() or "it holds no tensors"
            raise StyleError(f"{self.file}: nothing in it applies ({self}):\n{table}")
