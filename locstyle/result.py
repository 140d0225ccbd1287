"""What an edit gives back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from locstyle.errors import RecipeError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from locstyle.edit import Edit
    from locstyle.masks import Mask, Partition
    from locstyle.photo import Photo
    from locstyle.style import Style

TEXT_KEY = "locstyle"
"""The PNG text chunk that carries the resolved edit."""

MACHINE = "machine"
"""Among an edit's digests, in words: what decides the last bits besides all it is made of."""

Recipe = Literal["full", "names", "none"]
"""How much of its edit a PNG carries."""


@dataclass(frozen=True)
class Report:
    """What an edit cost and what it kept.

    `rows` counts the rows the network evaluated while denoising, `inversion_rows` while inverting
    photo and references, `check_rows` while checking; `cached_inversions` were done by an earlier
    run. `seconds` by phase add up to the wall time of resolving and running the edit, and in an
    editor's first report of loading its backbone.
    `coverage` is each region's share of the picture in [0, 1], `overlap` the share covered twice.
    `outside_identical` is the share of pixels outside all feathered masks whose bits are the
    input's, measured on the result; None where the masks cover everything. `inside_change` is the
    mean absolute change inside in [0, 1]. The PSNRs, in dB against the photo at its working size,
    are set when the inversion was checked: of the autoencoder alone, and of inverting and denoising
    back unstyled with the edit's own solver.
    """

    rows: int
    inversion_rows: int
    seconds: Mapping[str, float]
    coverage: tuple[float, ...]
    overlap: float
    outside_identical: float | None
    inside_change: float
    working_size: tuple[int, int]
    device: str
    dtype: str
    cached_inversions: int = 0
    check_rows: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    autoencoder_psnr: float | None = None
    reconstruction_psnr: float | None = None

    def to_dict(self) -> dict[str, object]:
        """The report as plain data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Result:
    """The styled photo and everything it was made of.

    `photo` has the input's size, depth, alpha and profile. `latent` [1, channels, h, w] is the
    clean latent. `edit` is the resolved edit, with digests of all it used. `masks` are the regions'
    masks before feathering, at the photo's size, `styles` those of each region; `partition` is at
    the working size.
    """

    photo: Photo
    source: Photo
    masks: tuple[Mask, ...]
    partition: Partition
    styles: tuple[tuple[Style, ...], ...]
    latent: Tensor
    edit: Edit
    report: Report

    @property
    def image(self) -> Image:
        """The styled photo as an 8-bit picture."""
        return self.photo.image

    def save(self, path: str | Path, *, recipe: Recipe = "full") -> Path:
        """Write the photo; a PNG carries its own recipe, so `locstyle replay` can run it again.

        `recipe`: "full" with paths from the picture's folder, as `Edit.carried` says; "names" with
        the files' names alone, to be found beside the picture; "none" without. An edit of pictures
        that live only in memory has no recipe to carry and is saved without.

        Raises:
            OutputError: the file cannot be written; an old file of that name stays as it was.
            RecipeError: another `recipe` than these.
        """
        path = Path(path)
        carries = path.suffix.lower() == ".png" and recipe != "none"
        self.photo.save(path, text=self._text(path, recipe) if carries else None)
        return path

    def _text(self, path: Path, recipe: Recipe) -> dict[str, str] | None:
        how: Any = recipe  # "none" was answered before
        carried = self.edit.carried(path.parent, how)
        try:
            return {TEXT_KEY: json.dumps(carried.to_dict())}
        except RecipeError:
            return None

    def _repr_png_(self) -> bytes:
        return self.photo._repr_png_()
