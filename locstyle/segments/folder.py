"""What `locstyle segment` leaves in a folder: segments.json, sheet.png, and numbered masks.

All of it is written or nothing is: a new folder appears with one renaming; in one that is there the
list goes first and comes last, so that whatever a list names stands. Only what an earlier run
wrote, and nobody changed since, is replaced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.errors import OutputError
from locstyle.files import (
    MARKER,
    Ledger,
    digest_of,
    marker,
    note_written,
    settle,
    sweep,
    unfinished_folder,
)
from locstyle.photo import Photo
from locstyle.segments import Segment
from locstyle.segments.file import write_segments
from locstyle.segments.sheet import segment_sheet

LIST, SHEET = "segments.json", "sheet.png"
_MAKER = "locstyle segment"
_NUMBERED = re.compile(r"\d{3,}\.png")


def check_folder(folder: Path) -> list[Path]:
    """The files in `folder` that an earlier run wrote, which the next one may replace.

    Raises:
        OutputError: it is no folder, or holds a file of ours that we did not write or that was
            changed since; the message names it.
    """
    if not os.path.lexists(folder):
        return []
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder")
    names = [path.name for path in sorted(folder.iterdir()) if _is_ours(path.name)]
    Ledger(folder, _MAKER).check(names)
    return [folder / name for name in names]


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
    check_folder(folder)
    try:
        with _whole(folder) as new:
            for number, segment in enumerate(segments if masks else (), start=1):
                _save(new / mask_name(number, len(segments)), segment.inside)
                on_step(Step("write", number, len(segments)))
            segment_sheet(photo.srgb, segments).save(new / SHEET)
            write_segments(new / LIST, segments, photo, made_by)
    except OSError as error:
        raise OutputError(
            f"{folder}: could not be written ({error.strerror or error}); free space or choose "
            "another folder"
        ) from error
    note_written(folder)


def mask_name(number: int, count: int) -> str:
    """The file name of a numbered mask; all of one run sort by number."""
    return f"{number:0{max(3, len(str(count)))}d}.png"


def _is_ours(name: str) -> bool:
    return name in (LIST, SHEET) or _NUMBERED.fullmatch(name) is not None


def _save(path: Path, inside: NDArray[np.bool_]) -> None:
    _, data = cv2.imencode(".png", inside.astype(np.uint8) * 255)
    path.write_bytes(data.tobytes())


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """An empty folder whose files are those of `folder` when the block ends well."""
    if folder.exists():
        sweep(folder)
        with unfinished_folder(folder) as new:
            yield new
            _settled(new)
            _exchange(new, folder)
        return
    with _parents(folder), unfinished_folder(folder.parent) as new:
        yield new
        (new / MARKER).write_bytes(marker({n: [d] for n, d in _settled(new).items()}))
        settle(new / MARKER)
        os.rename(new, folder)


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """The folders above are there; those that were not go again if the block fails."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        yield
    except BaseException:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


def _settled(new: Path) -> dict[str, str]:
    """The digests of the files in `new`, all of them on the disk."""
    for path in new.iterdir():
        settle(path)
    return {path.name: digest_of(path) for path in sorted(new.iterdir())}


def _exchange(new: Path, folder: Path) -> None:
    """The files in `new` in the place of those that are ours in `folder`, or as it was.

    The list goes first and comes last. Broken off by force, the folder has no list, its masks are
    all old or all new, and the ledger knows them: the next run replaces them.
    """
    ledger, digests = Ledger(folder, _MAKER), _settled(new)
    old = [path.name for path in check_folder(folder)]  # again: time has passed
    ledger.enter(digests)
    (aside := new / "old").mkdir()
    moves = [(folder / n, aside / n) for n in sorted(old, key=lambda name: name != LIST)]
    moves += [(new / n, folder / n) for n in sorted(digests, key=lambda name: name == LIST)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, place in moves:
            os.rename(source, place)
            done.append((source, place))
    except BaseException:
        for source, place in reversed(done):
            with suppress(OSError):  # the others still go back
                os.rename(place, source)
        raise
    ledger.forget()
