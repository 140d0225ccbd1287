"""What can be done to a mask after it is selected: names and numbers; `Mask` has the methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Refinement:
    """One refinement of the grammar, and the method of that name that `Mask` has.

    `does` is what the documentation says, `takes` what its number means (None: it takes none),
    `is_optional` whether the number may be left out, `lowest` its least value, `is_whole` whether
    it counts.
    """

    does: str
    takes: str | None = None
    is_optional: bool = False
    lowest: float = 0
    is_whole: bool = False


REFINEMENTS: Mapping[str, Refinement] = MappingProxyType(
    {
        "grow": Refinement("reach further out", "pixels"),
        "shrink": Refinement("draw back", "pixels"),
        "feather": Refinement("soften the edge, to both sides", "pixels"),
        "smooth": Refinement("round off what is ragged", "pixels"),
        "above": Refinement("keep what is stronger than this, hard-edged", "a share"),
        "fill": Refinement("close holes"),
        "largest": Refinement("keep the largest pieces", "how many", True, 1, True),
        "invert": Refinement("what is left out"),
        "snap": Refinement("follow the photo's edges nearby", "pixels", True),
    }
)
