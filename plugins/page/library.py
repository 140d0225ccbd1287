"""The photos that were opened: what is known of each, and its pictures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import Any, NamedTuple  # Any: plain data
from weakref import WeakValueDictionary

import locstyle as ls

from . import pictures
from .hearing import heard
from .pictures import ScreenPicture
from .refusals import not_found

MOST = 32  # photos whose preview is kept
_WRITABLE = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Opened:
    """A photo that was looked at: `image` is what a recipe calls it, `facts` what clients see."""

    id: str
    image: str
    path: Path
    stamp: tuple[int, int, int]  # what changes when the file does
    facts: dict[str, Any]
    preview: ScreenPicture


class Look(NamedTuple):
    """What a photo says of itself, opened or glanced at."""

    sha256: str
    size: tuple[int, int]  # (height, width)
    depth: int
    format: str
    has_alpha: bool


class Library:
    """Photos by the digest of their file; pixels are held of the one whose pixels were used last.

    A photo is opened by a first look where there is one: its pixels are read when somebody wants
    more than its picture.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        # A turn is kept by those who open the file, or wait to.
        self._turns: WeakValueDictionary[Path, Lock] = WeakValueDictionary()
        self._shelf: ls.Shelf | None = None
        self._known: OrderedDict[str, Opened] = OrderedDict()

    @property
    def shelf(self) -> ls.Shelf:
        """What edits share."""
        with self._lock:
            if self._shelf is None:  # not before it is needed: it brings numpy
                self._shelf = ls.Shelf()
            return self._shelf

    def open(self, path: Path, image: str) -> Opened:
        """The photo in a file.

        Raises:
            PhotoError: as `Photo.open`.
        """
        stamp = stamp_of(path)
        if (opened := self._of(path, stamp)) is not None:
            return opened
        with self._lock:
            turn = self._turns.setdefault(path, Lock())
        with turn:  # nobody who looks at another photo waits for it
            opened = self._of(path, stamp) or self._looked(path, image, stamp)
            with self._lock:
                self._known[opened.id] = opened
                self._known.move_to_end(opened.id)
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
            return opened

    def _of(self, path: Path, stamp: tuple[int, int, int]) -> Opened | None:
        """What is known of a file that is as it was."""
        with self._lock:
            for opened in self._known.values():
                if (opened.path, opened.stamp) == (path, stamp):
                    self._known.move_to_end(opened.id)
                    return opened
        return None

    def _looked(self, path: Path, image: str, stamp: tuple[int, int, int]) -> Opened:
        seen = ls.glance(path, pictures.SIDE)
        if seen is not None:
            look = Look(seen.sha256, seen.size, 8, "JPEG", False)
            facts, shown = _facts(look, path, image, []), pictures.at_a_glance(seen)
        else:
            remarks: list[str] = []
            with heard(lambda warning: remarks.append(str(warning))):
                photo = self.shelf.photo(str(path))
            look = Look(photo.sha256, photo.size, photo.depth, photo.format, photo.has_alpha)
            facts, shown = _facts(look, path, image, remarks), pictures.preview(photo)
        return Opened(facts["id"], image, path, stamp, facts, shown)

    def find(self, id: str) -> Opened:
        with self._lock:
            if id not in self._known:
                raise not_found("no photo of that id; open it first")
            return self._known[id]

    def photo(self, opened: Opened) -> ls.Photo:
        """Its pixels.

        Raises:
            Refusal: the file is another by now.
            PhotoError: it is gone, or cannot be read any more.
        """
        photo = self.shelf.photo(str(opened.path))
        if photo.sha256[:16] != opened.id:
            raise not_found("the file is another by now; open it again")
        return photo

    def tile(self, id: str, level: int, column: int, row: int) -> ScreenPicture:
        found = pictures.tile(self.photo(self.find(id)), level, column, row)
        if found is None:
            raise not_found("no such tile")
        return found

    def all(self) -> list[Opened]:
        with self._lock:
            return list(self._known.values())


def stamp_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file does; zeros for one that is not there."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return 0, 0, 0
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _facts(photo: Look, path: Path, image: str, remarks: list[str]) -> dict[str, Any]:
    height, width = photo.size
    small = pictures.preview_size(photo.size)
    return {
        "id": photo.sha256[:16],
        "image": image,
        "name": path.name,
        "width": width,
        "height": height,
        "depth": photo.depth,
        "format": photo.format,
        "alpha": photo.has_alpha,
        "bytes": path.stat().st_size,
        "preview": {"width": small[1], "height": small[0]},
        "levels": pictures.levels(photo.size),
        "tile": pictures.TILE,
        "not_kept": remarks + _lost(photo, path),
        "suggested": suggested(path),
    }


def suggested(path: Path) -> str:
    """A name beside the photo's that no file has yet."""
    suffix = path.suffix if path.suffix.lower() in _WRITABLE else ".png"
    name, number = f"{path.stem}-styled{suffix}", 2
    while path.with_name(name).exists():
        name, number = f"{path.stem}-styled-{number}{suffix}", number + 1
    return name


def _lost(photo: Look, path: Path) -> list[str]:
    if path.suffix.lower() not in _WRITABLE:
        return [f"{photo.format} is read but not written; saved as PNG, nothing is lost"]
    if photo.format == "JPEG":
        return ["saved as JPEG every pixel is coded anew, with loss; PNG and TIFF keep all of them"]
    return []
