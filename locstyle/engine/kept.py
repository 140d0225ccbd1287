"""The one memo: results that follow from their key, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from torch import Tensor

Result = TypeVar("Result")


class Kept:
    """Results of pure work on tensors, by what decides them and by device and dtype.

    A key holds all that a result depends on and that its owner does not fix, a `Grid` first of all.
    Whoever has one of these is as frozen as without it: it may be emptied at any time.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}  # of any kind, each as its `make` returned it

    def get(self, key: Hashable, like: Tensor, make: Callable[[], Result]) -> Result:
        """What `make` returns, of the device and dtype of `like`; from the second time on as it
        was."""
        full = (key, like.device, like.dtype)
        if full not in self._results:
            self._results[full] = make()
        return cast(Result, self._results[full])
