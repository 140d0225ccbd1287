"""References at the working size: scaled and cut, encoded, and given their trajectories."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.engine.scene import SceneReference
from locstyle.errors import LocstyleWarning
from locstyle.photo.canvas import average, resize

if TYPE_CHECKING:
    from locstyle.engine.trajectory import Trajectory
    from locstyle.style import Reference

COARSE = 4
"""Times a reference may be enlarged before a warning that its texture is lost."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A reference at the working size: `picture` [3, H, W] in [0, 1], `area` [H, W] in [0, 1] or
    None for all of it."""

    picture: Tensor
    area: Tensor | None


def cut(reference: Reference, size: tuple[int, int], where: str = "reference") -> Cut:
    """The reference scaled to cover `size` and cut to it, its aspect kept.

    It is cut where most of its area is, in the middle if that is everywhere. Warns of one so small
    that scaling leaves nothing of its texture.
    """
    height, width = reference.size
    scale = max(size[0] / height, size[1] / width)
    if scale > COARSE:
        said = (
            f"{width} × {height} pixels, enlarged {scale:.0f} times to cover the working size of "
            f"{size[1]} × {size[0]}; little but its colours will show"
        )
        warnings.warn(LocstyleWarning(said, place=where), stacklevel=2)
    area = torch.full((height, width), 255) if reference.area is None else reference.area.long()
    # Cut before scaling: a long strip, scaled whole, would not fit into memory.
    rows = _window(area.sum(1), min(height, max(1, round(size[0] / scale))))
    columns = _window(area.sum(0), min(width, max(1, round(size[1] / scale))))
    picture = reference.pixels[rows, columns].permute(2, 0, 1).float() / 255
    held = average(area[None, rows, columns].float() / 255, size)[0]
    return Cut(resize(picture, size), None if bool((held == 1).all()) else held)


def paired(
    groups: Sequence[Sequence[Cut]], trajectories: Iterable[Trajectory]
) -> list[tuple[SceneReference, ...]]:
    """Each region's cuts with their trajectories; those alike in both are one object."""
    made: dict[tuple[int, bytes | None], SceneReference] = {}
    following = iter(trajectories)

    def scene_reference(one: Cut) -> SceneReference:
        found = SceneReference(next(following), one.area)
        area = None if one.area is None else one.area.numpy().tobytes()
        return made.setdefault((id(found.trajectory), area), found)

    return [tuple(scene_reference(one) for one in group) for group in groups]


def _window(sums: Tensor, length: int) -> slice:
    """`length` neighbours that hold most; those nearest the middle if several hold as much."""
    running = F.pad(sums.cumsum(0), (1, 0))
    held = running[length:] - running[:-length]
    best = (held == held.max()).nonzero().flatten()
    middle = (len(sums) - length) / 2
    start = int(best[(best - middle).abs().argmin()])
    return slice(start, start + length)
