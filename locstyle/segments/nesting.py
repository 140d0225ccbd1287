"""Which segments lie in which, and which of them people ask for first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from locstyle.segments import Segment
from locstyle.segments.segment import containments

INSIDE = 0.9
"""A segment lies in another that holds this share of its pixels, …"""
GROUND = 0.9
"""… unless that one is this share of the picture or more: then everything would."""
USEFUL = 8
"""How many are shown first."""


def parents(segments: Sequence[Segment]) -> list[int | None]:
    """For each segment the index of the smallest it lies in; None where it stands by itself.

    Of two that are alike, the first holds the other.
    """
    held = containments(segments)
    areas = np.array([segment.area for segment in segments])
    whole = np.array([segment.share >= GROUND for segment in segments])
    found: list[int | None] = []
    for child, area in enumerate(areas):
        larger = (areas > area) | ((areas == area) & (np.arange(len(areas)) < child))
        fit = np.flatnonzero((held[child] >= INSIDE) & larger & ~whole)
        found.append(int(fit[areas[fit].argmin()]) if len(fit) else None)
    return found


def families(segments: Sequence[Segment]) -> list[list[int]]:
    """Indices as people look for them: families, each a segment and all that lies in it.

    Families stand largest first by what they cover, those that are almost the whole picture last.
    """
    above = parents(segments)
    found: dict[int, list[int]] = {i: [i] for i, parent in enumerate(above) if parent is None}
    for index, parent in enumerate(above):
        top = parent
        while parent is not None:  # what lies in a part of it lies in it
            top, parent = parent, above[parent]
        if top is not None:
            found[top].append(index)

    def place(family: list[int]) -> tuple[bool, int, int]:
        first = segments[family[0]]
        return first.share >= GROUND, -first.area, family[0]

    return sorted(found.values(), key=place)
