"""One forward pass as plain data: its rows, its size, and what is handed from row to row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from locstyle.engine.sites import Site
from locstyle.engine.tiles import Tile

MIXED = -1
"""The owner of a row whose tokens belong to different regions, as the partition says."""


class Row(NamedTuple):
    """One row of a forward pass: its branch's name and who owns it (a region index, 0, or
    `MIXED`).

    `copies`: how often each of its texts stands where it has its place, one after another, so that
    all are as long as the longest; (): once. Copies of a text are read like the text.
    """

    name: str
    owner: int
    copies: tuple[int, ...] = ()

    def copies_of(self, text: int) -> int:
        """How often that text of its own stands there; a row with one text repeats it."""
        return self.copies[min(text, len(self.copies) - 1)] if self.copies else 1


class Grid(NamedTuple):
    """How the tokens of a layer lie over the latent: `height` rows of `width`.

    What is worked out for tokens (who owns them, which of a reference's count) is kept under their
    grid, so whatever else tells two grids apart belongs in here: `tile`, which part of the latent
    they lie over, None for all of it.
    """

    height: int
    width: int
    tile: Tile | None = None

    @property
    def whole(self) -> Grid:
        """The same layer's tokens over the whole latent."""
        if self.tile is None:
            return self
        height, width = self.tile.whole
        return Grid(height * self.height // self.tile.height, width * self.width // self.tile.width)

    def cut(self, values: Tensor) -> Tensor:
        """What lies here of values [..., h, w] over the whole."""
        if self.tile is None:
            return values
        top = self.tile.top * self.height // self.tile.height
        left = self.tile.left * self.width // self.tile.width
        return values[..., top : top + self.height, left : left + self.width]


Part = Literal["q", "k", "v", "y"]


class Takes(NamedTuple):
    """In every step, rows `to` take some `parts` of rows `rows`.

    "q", "k", "v": queries, keys and values as the layer projects them, before any intervention
    rewrites what is read. "y": a layer's output, as the interventions before this one left it.
    """

    rows: tuple[str, ...]
    to: tuple[str, ...]
    parts: tuple[Part, ...]


Given = Mapping[tuple[str, Part], Tensor]
"""Parts [1, …] by the row they are of; a row that has no part in this step is not there."""


@dataclass(frozen=True)
class Call:
    """One forward pass, as interventions see it.

    `fraction` of the schedule lies behind it, in [0, 1); `t` is the timestep. `rows` are in batch
    order. `size` is the (height, width) of the latent, or of the `tile` of it that this is for.
    `texts` is how many texts of equal length lie one after another on the text-token axis. `given`
    is what the intervention that is called takes from other rows here.
    """

    fraction: float
    t: int
    rows: tuple[Row, ...]
    size: tuple[int, int]
    texts: int = 1
    tile: Tile | None = None
    given: Given = field(default_factory=dict, repr=False)

    def grid(self, at: Site | Tensor) -> Grid:
        """How the tokens of a site lie, or the pixels of a feature map [rows, C, h, w]."""
        if isinstance(at, Tensor):
            return Grid(at.shape[-2], at.shape[-1], self.tile)
        return Grid(self.size[0] // at.scale, self.size[1] // at.scale, self.tile)

    def index(self, name: str) -> int | None:
        """The batch index of the row of that name, or None where it is not part of this call."""
        for index, row in enumerate(self.rows):
            if row.name == name:
                return index
        return None

    def indices(self, names: Iterable[str]) -> list[int]:
        """The batch indices of the rows of those names, as far as they are part of this call."""
        return [index for name in names if (index := self.index(name)) is not None]
