"""Where things are: a file that was named, and this user's cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from locstyle.errors import MaskError, StyleError
from locstyle.files.bounds import STYLE_PICTURES, is_file, is_folder
from locstyle.files.output import PICTURES

CACHE = "LOCSTYLE_CACHE"
"""The environment variable that names another cache folder."""

_SHOWN = 5  # names an error lists
_MASKS = (".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg", ".npy", ".json")


def existing(path: str, where: str) -> Path:
    """A path that is a file.

    Raises:
        MaskError: it is none; names those in its folder that are called alike.
    """
    file, folder = Path(path), Path(path).parent
    if is_file(file):
        return file
    if is_folder(file):
        raise MaskError(f"{where}: {path!r} is a folder; name a file in it")
    if not is_folder(folder):
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


def lone_file(folder: str | Path, ending: str) -> Path | None:
    """The only file of a folder with that ending, to name it where the folder was given; None
    where there is none, or a choice."""
    try:
        found = [path for path in Path(folder).iterdir() if path.suffix.lower() == ending]
    except OSError:
        return None
    return found[0] if len(found) == 1 and is_file(found[0]) else None


def style_pictures(named: Sequence[Path]) -> tuple[Path, ...]:
    """The pictures a style is learned from: each as named, a folder as those in it by name.

    Folders in a folder, hidden files and what is no picture are passed over.

    Raises:
        StyleError: a folder unreadable or without a picture; more than `STYLE_PICTURES` in all.
    """
    found: list[Path] = []
    for path in named:
        there = _pictures_in(path) if is_folder(path) else [path]
        if not there:
            accepted = ", ".join(sorted(PICTURES))
            raise StyleError(f"style image {str(path)!r}: no picture in it; accepted: {accepted}")
        found += there
    if len(found) > STYLE_PICTURES:
        raise StyleError(
            f"style images: {len(found)} pictures; give at most {STYLE_PICTURES} of one style"
        )
    return tuple(found)


def _pictures_in(folder: Path) -> list[Path]:
    try:
        shown = [one for one in folder.iterdir() if not one.name.startswith(".")]
    except OSError as error:
        raise StyleError(f"style image {str(folder)!r}: {error.strerror}; name files") from None
    return sorted(one for one in shown if one.suffix.lower() in PICTURES and is_file(one))


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
