"""The photos that were opened: what is known of each, and its pictures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any  # plain data

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


class Library:
    """Photos by the digest of their file; pixels are held of the one looked at last.

    `lock` is held by whoever uses the shelf, which edits share.
    """

    def __init__(self) -> None:
        self.shelf = ls.Shelf()
        self.lock = RLock()
        self._known: OrderedDict[str, Opened] = OrderedDict()

    def open(self, path: Path, image: str) -> Opened:
        """The photo in a file.

        Raises:
            PhotoError: as `Photo.open`.
        """
        remarks: list[str] = []
        with self.lock:
            stamp = stamp_of(path)
            for opened in self._known.values():
                if (opened.path, opened.stamp) == (path, stamp):  # and the shelf stays as it is
                    self._known.move_to_end(opened.id)
                    return opened
            with heard(lambda warning: remarks.append(str(warning))):
                photo = self.shelf.photo(str(path))
            id = photo.sha256[:16]
            facts, shown = _facts(photo, path, image, remarks), pictures.preview(photo)
            self._known[id] = Opened(id, image, path, stamp, facts, shown)
            self._known.move_to_end(id)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
            return self._known[id]

    def find(self, id: str) -> Opened:
        with self.lock:
            if id not in self._known:
                raise not_found("no photo of that id; open it first")
            return self._known[id]

    def photo(self, opened: Opened) -> ls.Photo:
        """Its pixels; hold `lock` while they are used with the shelf.

        Raises:
            Refusal: the file is another by now.
            PhotoError: it is gone, or cannot be read any more.
        """
        photo = self.shelf.photo(str(opened.path))
        if photo.sha256[:16] != opened.id:
            raise not_found("the file is another by now; open it again")
        return photo

    def tile(self, id: str, level: int, column: int, row: int) -> ScreenPicture:
        with self.lock:
            photo = self.photo(self.find(id))
        found = pictures.tile(photo, level, column, row)
        if found is None:
            raise not_found("no such tile")
        return found

    def all(self) -> list[Opened]:
        with self.lock:
            return list(self._known.values())


def stamp_of(path: Path) -> tuple[int, int, int]:
    """What changes when a file does; zeros for one that is not there."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return 0, 0, 0
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _facts(photo: ls.Photo, path: Path, image: str, remarks: list[str]) -> dict[str, Any]:
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


def _lost(photo: ls.Photo, path: Path) -> list[str]:
    if path.suffix.lower() not in _WRITABLE:
        return [f"{photo.format} is read but not written; saved as PNG, nothing is lost"]
    if photo.format == "JPEG":
        return ["saved as JPEG every pixel is coded anew, with loss; PNG and TIFF keep all of them"]
    return []
