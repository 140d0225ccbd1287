"""Updates in LyCORIS' forms (LoHa, LoKr, OFT, GLoRA, …), worked out by `lycoris-lora`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.extras import pip_line
from locstyle.style.addition import Addition, Base, Parts

_BROKEN = (ValueError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What a library raises over tensors that do not belong together."""

_Make = Callable[[Base, Parts, float | None], Tensor]


def by_lycoris(base: Base, parts: Parts) -> Addition:
    """What LyCORIS' forms change, as its functional interface has it.

    `parts` are named as in its files: "hada_w1_a", "lokr_w2", "oft_blocks", "diff", ….
    *Deviation:* alpha / rank counts once in LoHa, as in its forward pass; LyCORIS' merge
    has it squared.

    Raises:
        StyleError: lycoris-lora is not there, parts are missing or fit no weight of that shape.
    """
    given = {name: tensor.float().cpu() for name, tensor in parts.items()}
    bias = given.pop("diff_b", None)
    magnitude = given.pop("dora_scale", None)
    make = next((make for sign, make in _MAKERS.items() if sign in given), None)
    if make is None:
        if magnitude is not None or set(given) - {"alpha"}:
            held = ", ".join(sorted(parts))
            raise StyleError(f"it has {held} and no more; the file is incomplete")
        return Addition(None, bias)
    weight = _shaped(make, base, given)
    if magnitude is not None:
        weight = _decomposed(base.weight, weight, magnitude)
    return Addition(weight, bias)


def _shaped(make: _Make, base: Base, given: Parts) -> Tensor:
    """The change, in the shape of the weight; that it has one is found out before any is made."""
    try:
        thin = {name: tensor.to("meta") for name, tensor in given.items() if name != "alpha"}
        found = make(base, thin, None)
        if found.numel() != torch.Size(base.shape).numel():
            raise ValueError(f"it makes {tuple(found.shape)}")
        alpha = float(given["alpha"]) if "alpha" in given else None
        return make(base, given, alpha).reshape(base.shape)
    except _BROKEN as error:
        names = {name: tuple(tensor.shape) for name, tensor in given.items()}
        raise StyleError(
            f"{names} is no update of a weight of shape {base.shape} ({error}); the file is of "
            "another model, or damaged"
        ) from error


def _lycoris(name: str) -> Any:
    """A module of lycoris-lora's functional interface."""
    try:
        return importlib.import_module(f"lycoris.{name}")
    except ImportError as error:
        raise StyleError(
            f"its form is LyCORIS', which lycoris-lora works out: {pip_line('lycoris')}"
        ) from error


def _tucker(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    down, up, mid = (parts[f"lora_{name}.weight"] for name in ("down", "up", "mid"))
    gamma = _gamma(alpha, down.shape[0])
    made: Tensor = _lycoris("functional.locon").diff_weight(down, up, mid, gamma=gamma)
    return made


def _lora(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    """Two factors, beside something else."""
    down, up = (parts[f"lora_{name}.weight"] for name in ("down", "up"))
    return _gamma(alpha, down.shape[0]) * (up.flatten(1) @ down.flatten(1))


def _loha(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    w1a, w1b, w2a, w2b = (parts[f"hada_{name}"] for name in ("w1_a", "w1_b", "w2_a", "w2_b"))
    middle = parts.get("hada_t1"), parts.get("hada_t2")
    gamma = torch.tensor(_gamma(alpha, w1b.shape[0]), device=w1b.device)
    make = _lycoris("functional.loha").diff_weight
    made: Tensor = make(w1b, w1a, w2b, w2a, *middle, gamma=gamma)
    return made


def _lokr(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    w1, w1a, w1b, w2, w2a, w2b, t2 = (
        parts.get(f"lokr_{name}") for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
    )
    if w1a is not None:
        gamma = _gamma(alpha, w1a.shape[1])
    else:  # of two whole factors the alpha means nothing
        gamma = 1.0 if w2a is None else _gamma(alpha, w2a.shape[1 if t2 is None else 0])
    # not its diff_weight, which takes the rank for another side of the Tucker form
    make = _lycoris("functional.lokr").kron_weight
    made: Tensor = make(w1, w1a, w1b, w2, w2a, w2b, t2, scale=gamma)
    return made


def _oft(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    blocks = parts["oft_blocks"]
    kind = {3: "diag_oft", 4: "boft"}[blocks.ndim]
    weight = base.weight.to(blocks.device)
    make = _lycoris(f"functional.{kind}").diff_weight
    limit = (alpha or 0.0) * base.shape[0]
    made: Tensor = make(weight, blocks, parts.get("rescale"), constraint=limit)
    return made


def _glora(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    """Its module in lycoris-lora needs a layer of its own; the form is W·a1·a2 + b1·b2."""
    a1, a2, b1, b2 = (parts[f"{name}.weight"] for name in ("a1", "a2", "b1", "b2"))
    after: Tensor = _lycoris("functional.locon").diff_weight(b2, b1, parts.get("bm.weight"))
    weight = base.weight.to(a1.device)
    before = torch.einsum("oi...,ij->oj...", weight, a1.flatten(1) @ a2.flatten(1))
    return _gamma(alpha, a2.shape[0]) * (before + after.reshape(weight.shape))


def _ia3(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    """Its own reader of files is broken in lycoris-lora 4.1; the form is this product."""
    factor, weight = parts["weight"].flatten(), base.weight.to(parts["weight"].device)
    on_input = factor.shape[0] == weight.shape[1] != weight.shape[0] or (
        parts["on_input"].device.type != "meta" and bool(parts["on_input"])
    )
    return weight * factor.reshape(
        1 if on_input else -1, -1 if on_input else 1, *(1,) * (weight.ndim - 2)
    )


def _full(base: Base, parts: Parts, alpha: float | None) -> Tensor:
    return parts["diff"]


_MAKERS: Mapping[str, _Make] = {
    "lora_mid.weight": _tucker,
    "lora_down.weight": _lora,
    "hada_w1_a": _loha,
    "lokr_w1": _lokr,
    "lokr_w1_a": _lokr,
    "oft_blocks": _oft,
    "a1.weight": _glora,
    "on_input": _ia3,
    "diff": _full,
}
"""By a part that no other form has; the first that is there."""


def _gamma(alpha: float | None, rank: int) -> float:
    return 1.0 if alpha is None else alpha / rank


def _decomposed(weight: Tensor, change: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA, arXiv:2402.09353 eq. 5: the changed weight takes on these norms."""
    on_out = magnitude.shape[0] == weight.shape[0]
    wanted = (weight.shape[0], 1) if on_out else (1, weight.shape[1])
    if tuple(magnitude.shape) != (*wanted, *(1,) * (weight.ndim - 2)):
        raise StyleError(
            f"a magnitude of shape {tuple(magnitude.shape)} beside a weight of shape "
            f"{tuple(weight.shape)}; the file is of another model, or damaged"
        )
    decompose = _lycoris("functional").weight_decompose
    found: Tensor = decompose(weight + change, magnitude, wd_on_out=on_out)
    return found - weight
