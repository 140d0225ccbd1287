"""Means with intervals that know that regions of one scene are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval around it; `count` is how many scenes it rests on."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half the interval's width, the number after ±."""
        return (self.high - self.low) / 2


def interval(values: Sequence[float], groups: Sequence[str], *, seed: int = 0) -> Interval:
    """The mean of `values` and its bootstrap percentile interval, resampling whole groups.

    `groups` names the scene of each value: all values of a scene are drawn together, since two
    regions of one photo succeed and fail together. Deterministic; one group gives its mean alone.

    Raises:
        ValueError: no values, or not one group for each.
    """
    if not values or len(values) != len(groups):
        raise ValueError(f"interval: got {len(values)} values for {len(groups)} groups")
    names = sorted(set(groups))
    index = np.array([names.index(group) for group in groups])
    data = np.asarray(values, float)
    # Around the mean, so that adding a constant to all values moves the interval and nothing else.
    mean = float(data.mean())
    totals = np.bincount(index, data - mean)
    sizes = np.bincount(index)
    drawn = np.random.default_rng(seed).integers(0, len(names), (DRAWS, len(names)))
    means = totals[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    # The percentiles of few, skewed groups may miss the mean itself; an interval must not.
    return Interval(mean, mean + min(float(low), 0.0), mean + max(float(high), 0.0), len(names))
