"""One of a region's styles: which, how strongly, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from locstyle.brief import brief
from locstyle.edit import checks
from locstyle.edit.fields import set_field
from locstyle.edit.from_picture import FromPicture

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from locstyle.photo import Photo
    from locstyle.style import Style

WHOLE = (0.0, 1.0)
"""The window of a style that acts in the whole schedule."""


@dataclass(frozen=True, repr=False)
class Styling:
    """One of a region's styles.

    `style`: a style file or a known name; or a picture, as a file or in memory, whose style is
    meant; "ENCODER:PICTURE" has a style encoder look at the file. `strength`: how much of it, 0 to
    2; several styles weigh against each other by it. `window`: the fraction of the schedule in
    which it acts, 0 the noisy start.
    """

    style: str | Path | Style | Photo | Image.Image | np.ndarray[Any, Any]
    strength: float = 1.0
    window: tuple[float, float] = WHOLE

    def __post_init__(self) -> None:
        set_field(self, "style", checks.file(self.style, "style", "a file or a known name"))
        set_field(self, "strength", checks.number(self.strength, "strength", 0, 2))
        set_field(self, "window", read_window(self.window))

    def __repr__(self) -> str:
        return brief(self)

    @property
    def files(self) -> list[str]:
        """The file it is, or is made of; none for a name."""
        made = FromPicture.read(self.style)
        return [made.picture] if made else [self.style] if is_path(self.style) else []

    def moved(self, move: Callable[[str], str]) -> Styling:
        """The same with `move` applied to its path; a name stays."""
        if made := FromPicture.read(self.style):
            return replace(self, style=str(replace(made, picture=move(made.picture))))
        return replace(self, style=move(self.style)) if is_path(self.style) else self


def is_path(style: object) -> TypeGuard[str]:
    """Whether a style is meant as a file; names have neither suffix nor folder."""
    return isinstance(style, str) and bool(Path(style).suffix or "/" in style or "\\" in style)


def read_window(value: object) -> tuple[float, float]:
    """A window as two numbers."""
    accepted = "[start, end], fractions of the schedule with 0 <= start < end <= 1"
    parts = checks.sequence(value, "window", accepted)
    if len(parts) != 2:
        raise checks.refusal("window", value, accepted)
    start, end = (checks.number(part, f"window[{i}]", 0, 1) for i, part in enumerate(parts))
    if not start < end:
        raise checks.refusal("window", value, accepted)
    return start, end
