"""EXIF blocks: orientation read and reset in place, so that every other byte stays the camera's.

A block here is a bare TIFF structure (`II*\\0…` or `MM\\0*…`), as in a PNG eXIf chunk; the
`Exif\\0\\0` prefix of JPEG segments is cut off on reading and put back on writing.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from PIL import Image

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
# What a TIFF's first directory says about the photo and not about its own bytes on disk.
DESCRIPTIVE = (
    *(
        0x010D,
        0x010E,
        0x010F,
        0x0110,
        0x0112,
    ),  # document name, description, make, model, orientation
    *(0x011A, 0x011B, 0x0128),  # resolution
    *(0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x8298),  # software, date, artist, host, rating, ©
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
)
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF field type -> struct code


class Entry(NamedTuple):
    """One field of the first directory: `value` is the inline value or the offset, 4 bytes."""

    tag: int
    kind: int
    length: int
    value: bytes
    at: int  # where the entry starts in the block


def bare(block: bytes | None) -> bytes | None:
    """The block without JPEG's prefix; None for an empty one."""
    return (block or b"").removeprefix(PREFIX) or None


def byte_order(block: bytes) -> str:
    """The struct prefix of the block's byte order: `<` or `>`."""
    return ">" if block[:2] == b"MM" else "<"


def entries(block: bytes) -> list[Entry] | None:
    """The fields of the first directory; None when the block is broken."""
    order = byte_order(block)
    try:
        if block[:2] not in (b"II", b"MM"):
            return None
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        places = range(start + 2, start + 2 + 12 * count, 12)
        return [Entry._make((*struct.unpack_from(order + "HHI4s", block, at), at)) for at in places]
    except struct.error:
        return None


def orientation(block: bytes | None) -> int:
    """The orientation 1-8 the block asks for; 1 when it says nothing, or nonsense."""
    for entry in entries(block or b"") or ():
        if entry.tag == ORIENTATION and entry.kind in _INTEGERS and block:
            code = byte_order(block) + _INTEGERS[entry.kind]
            value: int = struct.unpack_from(code, entry.value)[0]
            return value if 1 <= value <= 8 else 1
    return 1


def says_orientation(block: bytes | None) -> bool:
    """Whether the block names an orientation at all."""
    return any(entry.tag == ORIENTATION for entry in entries(block or b"") or ())


def upright(block: bytes) -> bytes:
    """The block with orientation 1 and its thumbnail unlinked (it shows the old picture).

    All other bytes stay in place: maker notes with absolute offsets survive.
    """
    fields = entries(block)
    if fields is None:
        return block
    result, order = bytearray(block), byte_order(block)
    for entry in fields:
        if entry.tag == ORIENTATION and entry.kind in _INTEGERS:
            struct.pack_into(order + _INTEGERS[entry.kind], result, entry.at + 8, 1)
    (start,) = struct.unpack_from(order + "I", block, 4)
    next_directory = start + 2 + 12 * len(fields)
    if next_directory + 4 <= len(result):
        struct.pack_into("I", result, next_directory, 0)
    return bytes(result)


def from_tiff(data: bytes) -> bytes | None:
    """A block made of what a TIFF file says about its photo; None when it says nothing."""
    whole, kept = Image.Exif(), Image.Exif()
    try:
        whole.load(data)
        for tag in DESCRIPTIVE:
            if tag in whole:
                kept[tag] = whole[tag]
        for tag in (EXIF_IFD, GPS_IFD):
            if inner := whole.get_ifd(tag):
                kept.get_ifd(tag).update(inner)
                kept[tag] = inner
        return bare(kept.tobytes()) if len(kept) else None
    except Exception:  # metadata written by anybody: a broken field must not cost the photo
        return None
