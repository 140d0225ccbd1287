"""What `locstyle segment` leaves in a folder: segments.json, sheet.png, and numbered masks.

All of it is written or nothing is. Only what an earlier run wrote, and nobody changed since, is
replaced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.errors import LocstyleError, OutputError, PhotoError
from locstyle.photo import Photo
from locstyle.segments import Segment
from locstyle.segments.file import read_segments, write_segments
from locstyle.segments.sheet import segment_sheet

LIST, SHEET = "segments.json", "sheet.png"
_NUMBERED = re.compile(r"\d{3,}\.png")


def check_folder(folder: Path) -> list[Path]:
    """The files in `folder` that an earlier run wrote, which the next one may replace.

    Raises:
        OutputError: it is no folder, or holds a file of ours that we did not write or that was
            changed since; the message names it.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder")
    there = [p for p in sorted(folder.iterdir()) if p.name in (LIST, SHEET) or _is_mask(p)]
    if not there:
        return []
    earlier = _earlier(folder)
    for path in there:
        if earlier is None or (_is_mask(path) and not _holds(path, earlier)):
            raise OutputError(
                f"{path}: is not as `locstyle segment` writes it, so it stays; move it away or "
                "choose another folder"
            )
    return there


def write_folder(
    folder: Path,
    photo: Photo,
    segments: Sequence[Segment],
    made_by: Mapping[str, object],
    *,
    masks: bool = True,
    on_step: OnStep = ignore,
) -> None:
    """Write the segments of `photo`, numbered from 1 in their order, with a contact sheet.

    Masks (white inside) are decoded and written one at a time. `made_by` says in the JSON how they
    were found.

    Raises:
        OutputError: nothing was written and nothing replaced.
    """
    replaced = check_folder(folder)
    with _whole(folder, replaced) as new:
        for number, segment in enumerate(segments if masks else (), start=1):
            _save(new / mask_name(number, len(segments)), segment.inside)
            on_step(Step("write", number, len(segments)))
        sheet = segment_sheet(photo.srgb, segments)
        sheet.save(new / SHEET)
        write_segments(new / LIST, segments, photo, made_by)


def mask_name(number: int, count: int) -> str:
    """The file name of a numbered mask; all of one run sort by number."""
    return f"{number:0{max(3, len(str(count)))}d}.png"


def _is_mask(path: Path) -> bool:
    return _NUMBERED.fullmatch(path.name) is not None


def _earlier(folder: Path) -> list[Segment] | None:
    """The segments of the folder's own list; None if there is none of ours."""
    try:
        data = json.loads((folder / LIST).read_text("utf-8"))
        height, width = data["photo"]["size"]
        return read_segments(folder / LIST, (height, width))
    except (OSError, ValueError, KeyError, TypeError, LocstyleError):
        return None


def _holds(path: Path, segments: Sequence[Segment]) -> bool:
    """Whether a mask file is still what its number in `segments` says."""
    number = int(path.stem)
    if not 1 <= number <= len(segments):
        return False
    try:
        pixels = Photo.open(path).pixels
    except PhotoError:
        return False
    wanted = segments[number - 1].inside.astype(np.uint8) * 255
    return np.array_equal(pixels[..., 0], wanted)


def _save(path: Path, inside: NDArray[np.bool_]) -> None:
    _, data = cv2.imencode(".png", inside.astype(np.uint8) * 255)
    path.write_bytes(data.tobytes())


@contextmanager
def _whole(folder: Path, replaced: Sequence[Path]) -> Iterator[Path]:
    """An empty folder whose files take their places in `folder` when the block ends well."""
    fresh = not folder.exists()
    new = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".locstyle-", dir=folder))
        yield new
        names = sorted((path.name for path in new.iterdir()), key=lambda name: name == LIST)
        for path in replaced:
            if path.name not in names:
                path.unlink()
        for name in names:  # the list last: where it stands, all it lists stands
            os.replace(new / name, folder / name)
    except OSError as error:
        raise OutputError(
            f"{folder}: could not be written ({error.strerror or error}); free space or choose "
            "another folder"
        ) from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        if fresh:
            with suppress(OSError):  # it holds results
                folder.rmdir()
