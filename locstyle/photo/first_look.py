"""A first look at a photo: something to show long before all of it is decoded.

Needs neither numpy nor torch, so that an editor has a picture on the screen while they are loaded.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import NamedTuple

from PIL import Image

from locstyle.files import bounds, read_file
from locstyle.photo import exif
from locstyle.photo.strict import strict_pillow

_ENOUGH = 0.7
"""Share of the side asked for from which on a picture is as good: then nothing is scaled."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Glance(NamedTuple):
    """A photo as it is seen at first: `image` is upright and small, grey or RGB in the file's own
    numbers, which the profile `icc` gives their meaning; `size` (height, width) and `sha256` are
    what the photo, opened, says of itself."""

    image: Image.Image
    size: tuple[int, int]
    icc: bytes | None
    sha256: str


def glance(path: str | os.PathLike[str], most: int) -> Glance | None:
    """A JPEG, its longer side at most `most` pixels, decoded at a half, a quarter or an eighth.

    None for whatever cannot be shown so without reading it as `Photo.open` does: other formats,
    other colours than grey and RGB, files that say who they are in rare ways, and broken ones,
    which `Photo.open` then refuses in words.
    """
    try:
        data = read_file(path, bounds.PHOTO_BYTES)
        if data[:2] != b"\xff\xd8":
            return None
        with strict_pillow(), Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return _seen(image, most, data)
    except Exception:  # decoders raise whatever they like; who opens it for good says what is wrong
        return None


def _seen(image: Image.Image, most: int, data: bytes) -> Glance | None:
    width, height = image.size
    given = image.info.get("exif")
    block = exif.bare(given if isinstance(given, bytes) else None)
    is_plain = image.mode in ("L", "RGB") and width * height <= bounds.PHOTO_PIXELS
    is_turned_elsewhere = b"Orientation" in image.info.get("xmp", b"")
    if not is_plain or (is_turned_elsewhere and not exif.says_orientation(block)):
        return None
    icc = image.info.get("icc_profile") or None
    if icc is None and b"R03" in (block or b""):  # perhaps a camera's Adobe RGB
        return None
    small, turn = _small(image, most), exif.orientation(block)
    return Glance(
        small if turn == 1 else small.transpose(_TURNS[turn]),
        (width, height) if turn >= 5 else (height, width),
        icc,
        hashlib.sha256(data).hexdigest(),
    )


def _small(image: Image.Image, most: int) -> Image.Image:
    """The decoder's own smaller size where that is near what was asked, else scaled down."""
    width, height = image.size
    part = next((part for part in (1, 2, 4, 8) if max(width, height) <= most * part), 8)
    if part > 1 and max(width, height) < _ENOUGH * most * part:
        part //= 2
    if part > 1:
        image.draft(None, (max(1, width // part), max(1, height // part)))
    image.load()
    small = image.copy()
    small.thumbnail((most, most), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small
