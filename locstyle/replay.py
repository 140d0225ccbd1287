"""Running a finished picture again: its embedded edit, and how the two compare."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from locstyle.edit import Edit
from locstyle.edit.recipe import Plain, from_json
from locstyle.errors import RecipeError
from locstyle.files import is_file
from locstyle.photo import Photo, read_text
from locstyle.result import MACHINE, TEXT_KEY

if TYPE_CHECKING:
    from locstyle.result import Result


@dataclass(frozen=True)
class Outcome:
    """How a second run compares with a picture.

    `differing` is the share of pixels with another value, `largest` and `mean` the size of their
    difference as a share of full scale. `changed` names what is no longer what it was (image,
    backbone, regions[0].mask, …) since the picture was made, as far as its recipe says what that
    was. `machines` is where the picture was made and where this run was, if that is known and not
    the same: another number of threads adds up in another order.
    """

    differing: float
    largest: float
    mean: float
    changed: tuple[str, ...] = ()
    machines: tuple[str, str] | None = None

    @property
    def is_identical(self) -> bool:
        return self.differing == 0

    @property
    def is_same(self) -> bool:
        """Whether no value is further off than one step of 8 bit."""
        return self.largest < 1.001 / 255

    def describe(self) -> str:
        """One sentence."""
        changed = f"; changed since: {', '.join(self.changed)}" if self.changed else ""
        if self.is_identical:
            return f"identical: every pixel came out the same{changed}"
        made, run = self.machines or ("", "")
        where = f"; made with {made}, this run with {run}" if made else ""
        if self.is_same:
            share = f"{self.differing:.2%}" if self.differing >= 1e-4 else "under 0.01%"
            return (
                f"same within 1/255: {share} of the pixels differ by that at most{where}{changed}"
            )
        return (
            f"different: {self.differing:.2%} of the pixels, by {self.mean:.2%} of full scale on "
            f"average and {self.largest:.2%} at most{where}{changed}"
        )

    def to_dict(self) -> dict[str, Plain]:
        return {"identical": self.is_identical, "same": self.is_same, **asdict(self)}


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
    return beside if is_file(str(beside.image)) else edit


def compare(picture: Photo, edit: Edit, result: Result) -> Outcome:
    """A picture made by `edit`, as it was before, against a second run of it."""
    import numpy as np

    before, after = picture.pixels, result.photo.pixels
    old, new = dict(edit.digests), dict(result.edit.digests)
    made, run = old.pop(MACHINE, ""), new.pop(MACHINE, "")
    machines = (made, run) if made and made != run else None
    # What only one of them says was not asked, or not kept: it may well be as it was.
    changed = tuple(sorted(key for key in old.keys() & new.keys() if old[key] != new[key]))
    if before.shape != after.shape or before.dtype != after.dtype:
        return Outcome(1.0, 1.0, 1.0, (*changed, "the picture's size or depth"), machines)
    apart = np.abs(before.astype(np.int32) - after) / np.iinfo(before.dtype).max
    differing = float((apart > 0).any(axis=-1).mean())
    return Outcome(differing, float(apart.max()), float(apart.mean()), changed, machines)
