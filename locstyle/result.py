"""What an edit gives back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from locstyle.errors import LocstyleError, RecipeError
from locstyle.files import write_atomic

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
class FrameReport:
    """What one frame was: `box` (x0, y0, x1, y1) in photo pixels, its `working_size` (height,
    width) in pixels, the `regions` drawn in it, counted from 0, its `tiles`, and the rows the
    network evaluated for it."""

    box: tuple[int, int, int, int]
    working_size: tuple[int, int]
    regions: tuple[int, ...]
    tiles: int
    rows: int
    inversion_rows: int


@dataclass(frozen=True)
class Report:
    """What an edit cost and what it kept.

    `rows` counts the rows the network evaluated while denoising, `inversion_rows` while inverting
    photo and references, `check_rows` while checking; `cached_inversions` were done by an earlier
    run. `frames` says the same of each frame. `seconds` by phase add up to the wall time of
    resolving and running the edit, and in an editor's first report of loading its backbone.
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
    frames: tuple[FrameReport, ...]
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


@dataclass(frozen=True)
class Written:
    """What a file holds of a result, measured on the file.

    `is_exact`: all of it, bit for bit. `outside_identical`: the share, of the pixels that the edit
    left alone, that are the input's in the file, at the file's depth; None where there are none.
    `off`: the mean difference of the others, of full scale.
    """

    format: str
    depth: int
    is_exact: bool
    outside_identical: float | None
    off: float = 0.0


@dataclass(frozen=True, eq=False)
class DrawnFrame:
    """A window of the photo as it was denoised.

    `box` (x0, y0, x1, y1) in photo pixels, `regions` drawn in it, counted from 0. `latent` [1,
    channels, h, w] is the clean latent; `partition`, of those regions and a remainder, is at
    `working_size` (height, width) in pixels.
    """

    box: tuple[int, int, int, int]
    regions: tuple[int, ...]
    latent: Tensor
    partition: Partition
    working_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Result:
    """The styled photo and everything it was made of.

    `photo` has the input's size, depth, alpha and profile. `frames` are the windows it was denoised
    in; `latent`, `partition` and `working_size` are those of the only one. `edit` is the resolved
    edit, with digests of all it used. `masks` are the regions' masks before feathering, at the
    photo's size, `styles` those of each region.
    """

    photo: Photo
    source: Photo
    masks: tuple[Mask, ...]
    styles: tuple[tuple[Style, ...], ...]
    frames: tuple[DrawnFrame, ...]
    edit: Edit
    report: Report

    def __repr__(self) -> str:
        regions, seconds = len(self.masks), sum(self.report.seconds.values())
        return f"Result({self.photo!r}, {regions} regions, {seconds:.1f} s)"

    @property
    def latent(self) -> Tensor:
        """The clean latent [1, channels, h, w].

        Raises:
            LocstyleError: this and the two below: the photo was drawn in several frames.
        """
        return self._only("latent").latent

    @property
    def partition(self) -> Partition:
        """Who owned what, at the working size."""
        return self._only("partition").partition

    @property
    def working_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self._only("working_size").working_size

    def _only(self, name: str) -> DrawnFrame:
        if len(self.frames) != 1:
            raise LocstyleError(
                f"result.{name}: this photo was drawn in {len(self.frames)} frames, each with its "
                f"own; read result.frames[0].{name} and so on"
            )
        return self.frames[0]

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
        write_atomic(path, self.encoded(path, recipe=recipe))
        return Path(path)

    def encoded(self, path: str | Path, *, recipe: Recipe = "full") -> bytes:
        """The bytes that `save` writes.

        Raises:
            OutputError: the format of the path's ending cannot hold the photo.
            RecipeError: another `recipe` than these.
        """
        path = Path(path)
        carries = path.suffix.lower() == ".png" and recipe != "none"
        return self.photo.encoded(path, self._text(path, recipe) if carries else None)

    def read_back(self, path: str | Path) -> Written:
        """What the file this result was saved as holds of it: a JPEG is lossy, 16 bits may be 8.

        Raises:
            PhotoError: the file cannot be read.
        """
        import numpy as np

        from locstyle.photo import Photo, eight_bit

        file, pixels = Photo.open(path), self.photo.pixels
        if file.pixels.dtype == pixels.dtype and np.array_equal(file.pixels, pixels):
            return Written(file.format, file.depth, True, self.report.outside_identical)
        before = self.source.widened(self.photo)
        alone = (before == pixels).all(-1)
        if not alone.any():
            return Written(file.format, file.depth, False, None)
        at_depth = before if file.depth == 16 else eight_bit(before)
        channels = min(file.pixels.shape[2], before.shape[2])  # an opaque alpha may be left out
        wanted, found = (p[alone][:, :channels].astype(np.int32) for p in (at_depth, file.pixels))
        apart = np.abs(wanted - found)
        is_other = apart.any(-1)
        off = float(apart[is_other].mean()) / (2**file.depth - 1) if is_other.any() else 0.0
        return Written(file.format, file.depth, False, 1 - float(is_other.mean()), off)

    def _text(self, path: Path, recipe: Recipe) -> dict[str, str] | None:
        how: Any = recipe  # "none" was answered before
        carried = self.edit.carried(path.parent, how)
        try:
            return {TEXT_KEY: json.dumps(carried.to_dict())}
        except RecipeError:
            return None

    def _repr_png_(self) -> bytes:
        return self.photo._repr_png_()
