"""Which photos are meant: files, folders, patterns, and lists of any of these."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from locstyle.errors import PhotoError
from locstyle.files import PICTURES, bounds, is_file, is_folder, read_text


@dataclass(frozen=True)
class Found:
    """A photo's path, and the folder it was looked for in, from which `{folder}` leads."""

    path: str
    top: str

    @property
    def folder(self) -> str:
        """The folder it lies in as seen from the top, with slashes, "." for the top itself; of one
        that lies elsewhere, that folder's name."""
        folder = os.path.abspath(Path(self.path).parent)
        try:
            inside = os.path.relpath(folder, self.top or ".")
        except ValueError:  # another drive
            inside = os.pardir
        if inside.split(os.sep)[0] == os.pardir:
            return os.path.basename(folder) or "."
        return inside.replace(os.sep, "/")

    @property
    def places(self) -> dict[str, str]:
        """What stands in braces for it."""
        path = Path(self.path)
        return {
            "stem": path.stem,
            "name": path.name,
            "suffix": path.suffix.lower(),
            "folder": self.folder,
        }


def find_photos(given: Iterable[str | Path]) -> list[Found]:
    """The photos that are meant, each once, in the order they are named; of folders and patterns in
    order of name.

    A folder means the pictures directly in it, a pattern such as `shop/**/*.jpg` the pictures it
    matches, and `@list.txt` what that file names, one to a line, as seen from its folder.

    Raises:
        PhotoError: nothing is there, or a list cannot be read.
    """
    found: dict[str, Found] = {}
    for one in given:
        for photo in _meant(os.fspath(one)):
            found.setdefault(os.path.normcase(os.path.abspath(photo.path)), photo)
    return list(found.values())


def _meant(given: str) -> Iterator[Found]:
    if is_file(given):
        yield Found(given, "")
    elif is_folder(given):
        yield from _some(sorted(_pictures_in(given)), given, given)
    elif given.startswith("@"):
        yield from _listed(given[1:])
    elif glob.has_magic(given):
        matched = (path for path in glob.iglob(given, recursive=True) if _is_picture(path))
        yield from _some(sorted(matched), _fixed(given), given)
    else:
        raise PhotoError(
            f"photos: {given!r} is no file, folder or pattern; a list of photos is written "
            "@list.txt, and all pictures below a folder 'folder/**/*'"
        )


def _some(paths: list[str], top: str, given: str) -> Iterator[Found]:
    if not paths:
        kinds = ", ".join(sorted(PICTURES))
        raise PhotoError(f"photos: there is no picture in {given!r}; pictures end in {kinds}")
    return (Found(path, top) for path in paths)


def _pictures_in(folder: str) -> Iterator[str]:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise PhotoError(f"photos: {folder!r} cannot be read ({error.strerror})") from error
    return (path for path in (os.path.join(folder, name) for name in names) if _is_picture(path))


def _is_picture(path: str) -> bool:
    """Whether it is a file that is called as pictures are; hidden ones were not meant."""
    name = os.path.basename(path)
    return Path(name).suffix.lower() in PICTURES and not name.startswith(".") and is_file(path)


def _fixed(pattern: str) -> str:
    """The folders of a pattern before the first that is none."""
    parts = Path(pattern).parts
    count = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:count])) if count else ""


def _listed(path: str) -> Iterator[Found]:
    try:
        lines = read_text(path, bounds.LIST_BYTES).splitlines()
    except OSError as error:
        raise PhotoError(
            f"photos: list {path!r} cannot be read ({error.strerror or error})"
        ) from error
    folder = os.path.dirname(path)
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        named = os.path.join(folder, name)
        if name.startswith("@"):
            raise PhotoError(f"photos: {path}, line {number}: a list in a list; name the photos")
        # A single file is taken as it is: one that is gone fails by itself, the others are done.
        if is_folder(named) or (glob.has_magic(named) and not is_file(named)):
            yield from _meant(named)
        else:
            yield Found(named, folder)
