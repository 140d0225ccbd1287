"""The one memo: results that follow from their key, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from torch import Tensor

from locstyle.engine.tiles import Tile

Result = TypeVar("Result")


class Kept:
    """Results of pure work on tensors, by what decides them and by device and dtype.

    A key holds all that a result depends on and that its owner does not fix, a `Grid` first of all.
    Whoever has one of these is as frozen as without it: it may be emptied at any time. What follows
    from a tile goes when another tile's comes, so that memory does not grow with their number;
    working it out again takes a thirtieth of the pass it is for, at most.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}  # of any kind, each as its `make` returned it
        self._of_tile: dict[Hashable, Any] = {}
        self._tile: Tile | None = None

    def get(
        self, key: Hashable, like: Tensor, make: Callable[[], Result], tile: Tile | None = None
    ) -> Result:
        """What `make` returns, of the device and dtype of `like`; from the second time on as it
        was, where it follows from a `tile` until another tile's is asked for."""
        full = (key, like.device, like.dtype)
        if tile != self._tile and tile is not None:
            self._of_tile, self._tile = {}, tile
        results = self._results if tile is None else self._of_tile
        if full not in results:
            results[full] = make()
        return cast(Result, results[full])
