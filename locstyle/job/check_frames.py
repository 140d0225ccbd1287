"""What frames cannot be drawn, or hardly: said before anything runs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from math import ceil, log10
from typing import TYPE_CHECKING

from locstyle.errors import LocstyleWarning, RecipeError
from locstyle.job.frames import Detail, Frame

if TYPE_CHECKING:
    from locstyle.edit import Edit
    from locstyle.plugin.protocols import Fusion


def check_frames(edit: Edit, fusion: Fusion, frames: Sequence[Frame], detail: Detail) -> None:
    """Refuses tiles where a fusion learns how to come back, and warns of regions that would smear.

    Raises:
        RecipeError: a frame is tiled, and the fusion's inversion learns in one pass of the network.
    """
    if fusion.inversion.pivot is not None:
        _refuse_tiles(edit, frames)
    if not (edit.frames or edit.digests):  # a finished edit was warned of when it was made
        for place, said in _smears(edit, frames, detail):
            warnings.warn(LocstyleWarning(said, place=place), stacklevel=2)


def _refuse_tiles(edit: Edit, frames: Sequence[Frame]) -> None:
    for frame in frames:
        if frame.tiles.is_one:
            continue
        own = next((r for r in frame.regions if edit.regions[r].detail is not None), None)
        got = edit.detail if own is None else edit.regions[own].detail
        raise RecipeError(
            f"got {got!r}, which cuts a frame into {len(frame.tiles.tiles)} tiles; fusion "
            f"{edit.fusion.name!r} learns with these options how to come back, which takes the "
            f"whole frame in one pass: give auto, or less than {got!r}; without that learning "
            "tiles work, too",
            place="detail" if own is None else f"regions[{own}].detail",
        )


def _smears(edit: Edit, frames: Sequence[Frame], detail: Detail) -> Iterator[tuple[str, str]]:
    """The places of regions drawn on too few latent pixels, and what to set."""
    for frame in frames:
        scale = frame.canvas.scale
        for region in frame.regions:
            own = [part.box for part in frame.parts if part.region == region]
            most = max(detail.latents(box, scale) for box in own)
            if round(most) >= detail.fewest:
                continue
            found = (
                f"{most:.1f} latent pixels along the region's longer side, and below "
                f"{detail.fewest:g} what is drawn there smears"
            )
            times = detail.fewest / most
            if edit.size is not None:
                said = f"region {region + 1}: {found}"
                yield "size", f"{said}; leave size out, or enlarge it {times:.1f} times"
            else:
                yield (
                    f"regions[{region}].detail",
                    f"{found}; set it to {_upwards(times * scale):g} or more, where it is "
                    f"{scale:.2g} now",
                )


def _upwards(value: float) -> float:
    """Two digits of a number, none of it lost."""
    digit = 10.0 ** (ceil(log10(value)) - 2)
    return round(ceil(value / digit) * digit, 6)
