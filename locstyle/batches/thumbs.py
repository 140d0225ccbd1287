"""Small pictures of photos and outputs, which a batch keeps for its contact sheet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from locstyle.files import is_file, make_folder, write_atomic

if TYPE_CHECKING:
    from locstyle.result import Result

SIDE = 256
"""Pixels of their longer side."""

_FOLDER = "thumbnails"


def thumbnail_of(manifest: Path, digest: str) -> Path:
    """Where the small picture of a task, by its id, or of a photo, by its digest, lies."""
    return manifest / _FOLDER / f"{digest[:32]}.jpg"


def keep_thumbnails(manifest: Path, task: Mapping[str, Any], result: Result) -> None:
    """Writes those of a task that was just done, as far as they are not there."""
    for digest, photo in (
        (task["told"]["id"], result.photo),
        (task["photo_sha256"], result.source),
    ):
        path = thumbnail_of(manifest, digest)
        if not is_file(path):
            keep_thumbnail(path, photo.srgb)


def keep_thumbnail(path: Path, picture: Image.Image) -> None:
    """Writes a small copy of a picture, on white where it is transparent."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", small.size, "white")
    ground.alpha_composite(small.convert("RGBA"))
    data = io.BytesIO()
    ground.convert("RGB").save(data, "JPEG", quality=85)
    make_folder(path.parent)
    write_atomic(path, data.getvalue())
