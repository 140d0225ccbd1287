"""Writing files so that nothing is lost: whole or not at all, and refused before any work.

Light on purpose (no torch, no Pillow): the command line checks its output path with this module.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from locstyle.errors import MaskError, OutputError, did_you_mean

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


CACHE = "LOCSTYLE_CACHE"
"""The environment variable that names another cache folder."""

_SHOWN = 5  # names an error lists
_MASKS = (".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg", ".npy", ".json")


class HasSize(Protocol):
    """What `check_output` asks of a photo."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""

    @property
    def has_alpha(self) -> bool:
        """Whether pixels carry transparency."""


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
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; name a file inside it")
    for source in inputs:
        if _same_file(target, Path(source)):
            raise OutputError(f"{target}: is also an input; choose another output name")
    if photo is not None:
        check_format(target, photo)
    _check_writable(target)


def check_format(path: Path, photo: HasSize) -> None:
    """Refuse a format that would lose the photo's alpha or cannot hold its size."""
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


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist (yet)
        return one.resolve() == other.resolve()


def _check_writable(target: Path) -> None:
    folder = target.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"{target}: folder {str(folder)!r} does not exist; create it first")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{target}: the file is write-protected; choose another output name")
    try:
        # Trying is the only honest test: permission bits say nothing about quotas or mounts.
        os.unlink(_new_file_beside(target))
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

    Whatever the block raises, KeyboardInterrupt included, removes it and leaves `path` as it was.

    Raises:
        OutputError: for an OSError of the block or of the replacement (disk full, no permission).
    """
    target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    temporary: Path | None = None
    try:
        temporary = _new_file_beside(target)
        yield temporary
        _settle(temporary, target)
    except OSError as error:
        raise OutputError(
            f"{os.fspath(path)}: could not be written ({error.strerror or error}); "
            "what was there before is untouched"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # already in place, or the folder is gone
                temporary.unlink()


def _new_file_beside(target: Path) -> Path:
    # Not tempfile: its files are 0600 whatever the user's umask says.
    temporary = target.parent / f".locstyle-{secrets.token_hex(6)}{target.suffix}"
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _settle(temporary: Path, target: Path) -> None:
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    if target.exists():
        os.chmod(temporary, target.stat().st_mode & 0o7777)
    os.replace(temporary, target)


def existing(path: str, where: str) -> Path:
    """A path that is a file.

    Raises:
        MaskError: it is none; names those in its folder that are called alike.
    """
    file, folder = Path(path), Path(path).parent
    if file.is_file():
        return file
    if file.is_dir():
        raise MaskError(f"{where}: {path!r} is a folder; name a file in it")
    if not folder.is_dir():
        raise MaskError(f"{where}: {path!r} is no file; there is no folder {str(folder)!r}")
    there = sorted(x.name for x in folder.iterdir() if not x.name.startswith("."))
    alike = get_close_matches(file.stem, {Path(name).stem for name in there}, n=3, cutoff=0.6)
    if near := [name for name in there if Path(name).stem in alike][:_SHOWN]:
        hint = f"did you mean {' or '.join(repr(str(file.with_name(name))) for name in near)}?"
    else:
        masks = [name for name in there if name.lower().endswith(_MASKS)]
        more = ", …" if len(masks) > _SHOWN else ""
        listed = ", ".join(masks[:_SHOWN]) + more if masks else "no mask file"
        hint = f"its folder has {listed}; other selections are 'all', 'rest', 'point:x,y', …"
    raise MaskError(f"{where}: {path!r} is no file; {hint}")


def cache_folder() -> Path:
    """Where large files that many runs share may lie, such as weights; not made by asking.

    LOCSTYLE_CACHE if it is set, else the platform's cache folder of this user.
    """
    if named := os.environ.get(CACHE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "locstyle"
