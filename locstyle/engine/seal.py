"""Whether a model's weights are still those it was loaded with, asked cheaply and often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from locstyle.errors import BackboneError, PluginError

SAMPLES = 8
"""Numbers of each weight that are compared, evenly spread over it."""


class Seal:
    """The weights of some modules as they are now, and who changed them if anybody does later.

    Compared are which tensors there are, their version counters, and a few numbers of each, since
    a write through `.data` leaves the counter alone. A change of other numbers through `.data` is
    not seen. Once broken a seal stays broken, whatever the weights are then.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules
        self._weights = _weights(modules)
        self._numbers = _numbers(self._weights)
        self._broken: str | None = None

    def broken(self, suspect: str = "something outside of a run") -> str | None:
        """Who changed which weight, if any was: `suspect`, unless it was known before."""
        if self._broken is None and (name := self._changed()) is not None:
            self._broken = f"{suspect} changed the weight {name!r}"
        return self._broken

    def check(self, suspect: str = "something outside of a run") -> None:
        """Refuses a model whose weights were changed.

        Raises:
            BackboneError: names who did it.
        """
        if (how := self.broken(suspect)) is not None:
            raise BackboneError(
                f"backbone: {how}, so nothing can be relied on any more; load the backbone again"
            )

    @contextmanager
    def kept(self, by: str) -> Iterator[None]:
        """Holds a plugin's code to leaving the weights alone; an error it ends with goes first.

        Raises:
            BackboneError: the weights were changed before.
            PluginError: they were changed inside the `with`; names `by`.
        """
        self.check()
        try:
            yield
        except BaseException:
            self.broken(by)
            raise
        if (how := self.broken(by)) is not None:
            raise PluginError(
                f"{how}; a plugin rewrites what layers emit and leaves their weights alone; "
                "load the backbone again"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Seal:  # Any: as `copy` has it
        """A copy of a model is sealed as it is, but never mended by copying."""
        seal = Seal(deepcopy(self._modules, memo))
        seal._broken = self.broken()
        return seal

    def _changed(self) -> str | None:
        """The first weight that is not as it was."""
        weights = _weights(self._modules)
        for name in dict.fromkeys((*self._weights, *weights)):
            if not _alike(self._weights.get(name), weights.get(name)):
                return name
        numbers = _numbers(weights)
        if torch.equal(numbers, self._numbers):
            return None
        first = int((numbers != self._numbers).nonzero()[0])
        counts = torch.tensor([len(_sample(weight.tensor)) for weight in weights.values()])
        return list(weights)[int((counts.cumsum(0) <= first).sum())]


class _Weight(NamedTuple):
    """A tensor, and how often it was written to."""

    tensor: Tensor
    version: int


def _weights(modules: Mapping[str, nn.Module]) -> dict[str, _Weight]:
    return {
        f"{part}.{name}": _Weight(tensor, _version(tensor))
        for part, module in modules.items()
        for name, tensor in module.named_parameters()
    }


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version  # inference tensors count none


def _alike(one: _Weight | None, other: _Weight | None) -> bool:
    if one is None or other is None:
        return False
    return one.tensor is other.tensor and one.version == other.version


def _numbers(weights: Mapping[str, _Weight]) -> Tensor:
    """Some numbers of every weight, one after another, as the bits of float32."""
    with torch.no_grad():
        found = [_sample(weight.tensor).float() for weight in weights.values()]
        return torch.cat(found).cpu().view(torch.int32) if found else torch.empty(0)


def _sample(weight: Tensor) -> Tensor:
    """At most `SAMPLES` numbers of a weight, spread over it as it lies in memory."""
    count = weight.numel()
    if weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last):
        flat = weight.detach().as_strided((count,), (1,))
    else:
        flat = weight.detach().reshape(-1)
    return flat[:: -(-count // SAMPLES)][:SAMPLES] if count else flat
