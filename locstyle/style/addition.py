"""What an update in another form than two factors adds to a layer, and the layer it is one of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from locstyle.errors import StyleError
from locstyle.style.data import Delta

Parts = Mapping[str, Tensor]
"""The tensors of one layer's update, by what LyCORIS or PEFT call them."""


class Addition(NamedTuple):
    """What is added to a layer's weight and to its bias, None where that stays, in float32."""

    weight: Tensor | None
    bias: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Base:
    """The layer that a change is one of: its weight's `shape`, and where a backbone is, itself."""

    shape: tuple[int, ...]
    layer: nn.Module | None

    @property
    def weight(self) -> Tensor:
        """Its weight in float32 on the CPU."""
        weight: Tensor = self.module.weight
        return weight.detach().float().cpu()

    @property
    def module(self) -> Any:
        """The layer, whose weights are not to be touched.

        Raises:
            StyleError: no backbone was given.
        """
        if self.layer is None:
            raise StyleError(
                "the update depends on the weight it changes; read it beside a backbone: "
                "read_style(path, backbone=…)"
            )
        return self.layer

    def copied(self) -> Any:
        """The layer once more, in float32 on the CPU."""
        return copy.deepcopy(self.module).float().cpu()


RANK = 128
"""The largest rank at which an update is kept as two factors where it could be kept whole."""

ERROR = 1e-3
"""Of the update's norm: what two factors may lose of it; all lose less who are of such a rank."""


def as_delta(change: Addition, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Delta, float]:
    """The change as a delta, and what it lost: the norm of the difference by that of the update.

    Two factors by its truncated singular value decomposition where that is small and loses less
    than `ERROR`, else whole: the update itself beside the identity.
    """
    out, *inner = shape
    weight = change.weight
    bias = None if change.bias is None else change.bias.to(dtype)
    ones = (1,) * (len(inner) - 1)
    if weight is None or not weight.any():
        nothing = torch.zeros(1, *inner, dtype=dtype), torch.zeros(out, 1, *ones, dtype=dtype)
        return Delta(*nothing, bias=bias), 0.0
    found = _factored(weight.flatten(1))
    if found is not None:
        up, down, error = found
        down, up = down.reshape(-1, *inner), up.reshape(out, -1, *ones)
        return Delta(down.to(dtype).contiguous(), up.to(dtype).contiguous(), bias=bias), error
    if len(inner) == 1 and inner[0] < out:
        return Delta(torch.eye(inner[0], dtype=dtype), weight.to(dtype), bias=bias), 0.0
    eye = torch.eye(out, dtype=dtype).reshape(out, out, *ones)
    return Delta(weight.to(dtype), eye, bias=bias), 0.0


def _factored(weight: Tensor) -> tuple[Tensor, Tensor, float] | None:
    """Up [out, rank], down [rank, in] and their error; None where whole is smaller or better.

    By random projections, arXiv:0909.4061 algorithm 4.4, which are the same every time.
    """
    out, inner = weight.shape
    draw = torch.Generator().manual_seed(0)
    most = min(RANK, out * inner // (out + inner))
    width = min(most + 8, out, inner)
    basis = torch.linalg.qr(weight @ torch.randn(inner, width, generator=draw)).Q
    basis = torch.linalg.qr(weight @ (weight.T @ basis)).Q
    left, values, right = torch.linalg.svd(basis.T @ weight, full_matrices=False)
    norm = weight.norm()
    left_over = values.square().flip(0).cumsum(0).flip(0).sqrt()  # from each value on
    rank = min(int((left_over > norm * ERROR / 2).sum()), most)
    if not rank:
        return None
    root = values[:rank].sqrt()
    up, down = basis @ left[:, :rank] * root, root[:, None] * right[:rank]
    error = float((weight - up @ down).norm() / norm)
    return (up, down, error) if error < ERROR else None
