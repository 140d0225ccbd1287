"""Where the parts of a model are: all on its device, or with little memory only what is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from threading import RLock
from typing import Any

import torch
from torch import nn

HOME = torch.device("cpu")
"""Where parts are while they are not in use."""

ROOM = 1.3
"""What a run takes of a device, of the weights: beyond it parts had better not stay there. A
guess, from what a pass over one picture at a time holds beside them."""

Move = Callable[[nn.Module, torch.device], object]


def move(module: nn.Module, to: torch.device) -> None:
    """Puts a module's weights there; they stay the same objects, and those of no inference."""
    with torch.inference_mode(False), torch.no_grad():
        module.to(to)


class Whereabouts:
    """The parts of a model and the device they run on.

    While it `spares`, parts wait at home, and only those in use are on the device: what comes next
    sends away what was there. `move` does so. No number changes by it.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        device: torch.device,
        *,
        spares: bool = False,
        move: Move = move,
    ) -> None:
        self.device, self.spares = device, spares and device != HOME
        self._modules, self._move = modules, move
        self._lock = RLock()
        self._at: dict[str, torch.device] = {}
        for name in modules:
            self._put(name, HOME if self.spares else device)

    def __deepcopy__(self, memo: dict[int, Any]) -> Whereabouts:  # Any: as `copy` has it
        """Those of a copied model, which nobody uses yet."""
        modules = deepcopy(self._modules, memo)
        return Whereabouts(modules, self.device, spares=self.spares, move=self._move)

    def spare(self) -> None:
        """From now on only what is used is on the device, unless that is home."""
        with self._lock:
            self.spares = self.device != HOME
            for name in self._modules if self.spares else ():
                self._put(name, HOME)

    @contextmanager
    def using(self, *parts: str, beside: tuple[str, ...] = ()) -> Iterator[None]:
        """These parts are on the device for the length of the `with`; those `beside` them stay
        where they are, and all others are at home while it spares."""
        if not self.spares:
            yield
            return
        with self._lock:  # another thread's text must not send away what is being used
            for name in self._modules:
                if name not in (*parts, *beside):
                    self._put(name, HOME)
            for name in parts:
                self._put(name, self.device)
            yield

    def _put(self, name: str, place: torch.device) -> None:
        if self._at.get(name) != place:
            self._move(self._modules[name], place)
            self._at[name] = place

    @property
    def bytes(self) -> int:
        """Of the weights that are on the device at once, at most."""
        size = {name: _bytes(module) for name, module in self._modules.items()}
        if not self.spares:
            return sum(size.values())
        coding = [size[name] for name in size if not name.startswith("text_encoder")]
        return max(sum(coding), sum(size.values()) - sum(coding))


def is_short(modules: Mapping[str, nn.Module], free: float) -> bool:
    """Whether so many free bytes are too few to hold all parts at once and run."""
    return ROOM * sum(map(_bytes, modules.values())) > free


def _bytes(module: nn.Module) -> int:
    tensors = chain(module.parameters(), module.buffers())
    return sum(one.numel() * one.element_size() for one in tensors)
