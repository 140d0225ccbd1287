"""Writing files so that nothing is lost: whole or not at all, and refused before any work.

Light on purpose (no torch, no Pillow): the command line checks its output path with this module.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from locstyle.errors import OutputError, did_you_mean
from locstyle.files.bounds import is_folder
from locstyle.files.unfinished import Unfinished, sweep

PHOTO_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffix (lower case) -> the format a photo is written in."""

LARGEST_SIDE = {"JPEG": 65535, "WEBP": 16383}
"""Longest side in pixels that a format can hold."""

_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)

LARGEST_PROFILE = {"PNG": 1 << 20}
"""Bytes of a colour profile that readers of a format take; Pillow refuses PNGs with more."""

PICTURES = frozenset({*PHOTO_FORMATS, ".gif", ".avif", ".heic", ".heif"})
"""Suffixes of picture files that can be read."""


class HasSize(Protocol):
    """What `check_output` asks of a photo."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""

    @property
    def has_alpha(self) -> bool:
        """Whether pixels carry transparency."""

    @property
    def icc(self) -> bytes | None:
        """The colour profile."""


def check_output(
    path: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]],
    *,
    suffixes: Collection[str] = tuple(PHOTO_FORMATS),
    photo: HasSize | None = None,
) -> None:
    """Refuse, before any work, an output that could not be written or would overwrite an input.

    Args:
        inputs: every file the work reads (photo, masks, styles, recipe).
        suffixes: the endings accepted, lower case.
        photo: when given, the format must also be able to hold its alpha and its size.

    Raises:
        OutputError: names the path and what to do.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        hint = did_you_mean(target.suffix.lower(), suffixes)
        raise OutputError(
            f"{target}: cannot write {target.suffix or 'a file without ending'!r}; {hint}"
        )
    check_regular(target)
    for source in inputs:
        if _same_file(target, Path(source)):
            raise OutputError(f"{target}: is also an input; choose another output name")
    if photo is not None:
        check_format(target, photo)
    _check_writable(target)


def check_format(path: Path, photo: HasSize) -> None:
    """Refuse a format that would lose the photo's alpha or cannot hold its size or profile."""
    kind = PHOTO_FORMATS[path.suffix.lower()]
    if kind == "JPEG" and photo.has_alpha:
        raise OutputError(
            f"{path}: JPEG holds no alpha and the photo has it; use .png, .webp or .tif"
        )
    if max(photo.size) > LARGEST_SIDE.get(kind, max(photo.size)):
        height, width = photo.size
        raise OutputError(
            f"{path}: {width} × {height} pixels; {kind} holds at most {LARGEST_SIDE[kind]} a side; "
            "use .png or .tif"
        )
    if photo.icc is not None and len(photo.icc) > LARGEST_PROFILE.get(kind, len(photo.icc)):
        raise OutputError(
            f"{path}: a colour profile of {len(photo.icc)} bytes; readers of {kind} take at most "
            f"{LARGEST_PROFILE[kind]}: use .tif, .jpg or .webp"
        )


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse to write where something other than a regular file is: it would be replaced by one.

    Raises:
        OutputError: says what is there; also for a name that no file can have.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{os.fspath(path)!r}: cannot be a file ({_reason(error)}); choose another output name"
        ) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{os.fspath(path)}: is a folder; name a file inside it")
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"{os.fspath(path)}: is no regular file but a device, a pipe or a socket; name a file"
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them does not exist (yet), or never can
        return os.path.abspath(one) == os.path.abspath(other)


def _check_writable(target: Path) -> None:
    folder = Path(os.path.realpath(target)).parent
    if not is_folder(folder):
        raise OutputError(f"{target}: folder {str(folder)!r} does not exist; create it first")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{target}: the file is write-protected; choose another output name")
    sweep(folder)
    try:
        # Trying is the only honest test: permission bits say nothing about quotas or mounts.
        Unfinished(folder, target.suffix).remove()
    except OSError as error:
        raise OutputError(
            f"{target}: cannot write in {str(folder)!r} ({error.strerror or error}); "
            "choose another folder"
        ) from error


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; an old file stays until the new one is complete.

    Raises:
        OutputError: nothing was written and the old file is intact.
    """
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty file beside `path` with the same suffix; on success it takes its place.

    Whatever the block raises, KeyboardInterrupt included, removes it and leaves `path` as it was;
    what a killed run left behind goes with the next file written in that folder.

    Raises:
        OutputError: `path` is no regular file, or for an OSError of the block or of the
            replacement (disk full, no permission).
    """
    check_regular(path)
    target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    unfinished: Unfinished | None = None
    try:
        sweep(target.parent)
        unfinished = Unfinished(target.parent, target.suffix)
        yield unfinished.path
        settle(unfinished.path)
        if sys.platform == "win32":  # which renames no open file; elsewhere it stays held till then
            unfinished.release()
        _take_place(unfinished.path, target)
    except OSError as error:
        raise OutputError(
            f"{os.fspath(path)}: could not be written ({error.strerror or error}); "
            "what was there before is untouched"
        ) from error
    finally:
        if unfinished is not None:
            unfinished.remove()
    note_written(path)


def settle(path: Path) -> None:
    """Makes the system write a file's content to its disk."""
    with open(path, "r+b") as file:  # Windows flushes only what it may write
        os.fsync(file.fileno())


def _take_place(temporary: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # it may go while we look: another run shares the folder
        os.chmod(temporary, target.stat().st_mode & 0o7777)
    os.replace(temporary, target)


@contextmanager
def noted_files() -> Iterator[list[Path]]:
    """What is written inside the `with`, as it was named, in order: for those who break it off."""
    noted: list[Path] = []
    token = _written.set(noted)
    try:
        yield noted
    finally:
        _written.reset(token)


def note_written(path: str | os.PathLike[str]) -> None:
    """Says that `path` has its new content; what writes through this module need not."""
    noted = _written.get()
    if noted is not None and Path(path) not in noted:
        noted.append(Path(path))
