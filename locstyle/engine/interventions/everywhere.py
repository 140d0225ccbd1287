"""Low-rank updates that nobody owns: the same for every token of every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from locstyle.engine.call import Call
from locstyle.engine.interventions.stacks import Stack
from locstyle.engine.kept import Kept
from locstyle.engine.sites import Site, Sites
from locstyle.style import Delta


@dataclass(frozen=True, eq=False)
class Everywhere:
    """Deltas by site name, on all tokens of all rows: y ← y + scale · up(down(x)) + bias.

    The network then is another one, for the photo's own row and those of pictures as well, whose
    queries, keys and features the edited rows take. Layers beside image and text have it too.
    """

    deltas: Mapping[str, Delta]
    _kept: Kept = field(default_factory=Kept, init=False, repr=False)

    def where(self, sites: Sites) -> list[Site]:
        return [sites[name] for name in sorted(self.deltas)]

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        delta = self.deltas[site.name]
        stack = self._kept.get(site.name, x, lambda: Stack.of([(delta, 1.0)], x))
        return y + stack.at(x, y)
