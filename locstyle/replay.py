"""Running a finished picture again: its embedded edit, and how the two compare."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from locstyle.edit import Edit
from locstyle.edit.recipe import Plain, from_json
from locstyle.errors import RecipeError
from locstyle.photo import Photo, read_text
from locstyle.result import TEXT_KEY

if TYPE_CHECKING:
    from locstyle.result import Result


@dataclass(frozen=True)
class Outcome:
    """How a second run compares with a picture.

    `differing` is the share of pixels with another value, `largest` and `mean` the size of their
    difference as a share of full scale. `changed` names what is no longer what it was (image,
    backbone, regions[0].mask, …) since the picture was made.
    """

    differing: float
    largest: float
    mean: float
    changed: tuple[str, ...] = ()

    @property
    def is_identical(self) -> bool:
        return self.differing == 0

    def describe(self) -> str:
        """One sentence."""
        changed = f"; changed since: {', '.join(self.changed)}" if self.changed else ""
        if self.is_identical:
            return f"identical: every pixel came out the same{changed}"
        return (
            f"different: {self.differing:.2%} of the pixels, by {self.mean:.2%} of full scale on "
            f"average and {self.largest:.2%} at most{changed}"
        )

    def to_dict(self) -> dict[str, Plain]:
        return {"identical": self.is_identical, **asdict(self)}


def embedded_edit(path: str | Path) -> Edit:
    """The resolved edit a PNG of ours carries; relative paths lead from the PNG, else from here.

    Raises:
        RecipeError: the file carries none, or none that can be read.
    """
    text = read_text(path, TEXT_KEY)
    if text is None:
        raise RecipeError(f"{path}: carries no edit; only PNGs written by locstyle do")
    edit = Edit.from_dict(from_json(text, str(path)))
    beside = edit.beside(Path(path).parent)
    return beside if Path(beside.image).exists() else edit  # type: ignore[arg-type]  # text, from JSON


def compare(path: str | Path, edit: Edit, result: Result) -> Outcome:
    """The picture at `path`, made by `edit`, against a second run of it."""
    import numpy as np

    before, after = Photo.open(path).pixels, result.photo.pixels
    old, new = edit.digests, result.edit.digests
    changed = tuple(sorted(k for k in {*old, *new} if old.get(k) != new.get(k)))
    if before.shape != after.shape or before.dtype != after.dtype:
        return Outcome(1.0, 1.0, 1.0, (*changed, "the picture's size or depth"))
    apart = np.abs(before.astype(np.int32) - after) / np.iinfo(before.dtype).max
    differing = (apart > 0).any(axis=-1)
    return Outcome(float(differing.mean()), float(apart.max()), float(apart.mean()), changed)
