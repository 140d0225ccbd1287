"""TIFF files written: the pixels at their depth, and EXIF carried over byte for byte (TIFF 6.0)."""

from __future__ import annotations

import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from locstyle.photo import exif as exif_block
from locstyle.photo.png import Pixels

if TYPE_CHECKING:
    from locstyle.photo.picture import Picture

_NATIVE = "<" if sys.byteorder == "little" else ">"
_XMP, _IPTC, _ICC = 700, 33723, 34675
_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
_CODES = {_SHORT: "H", _LONG: "I", _RATIONAL: "I"}
_RESOLUTION = (282, 283, 296)
_FINE = 10_000  # denominator of resolutions
_STRIP = 1 << 18  # bytes of pixels per strip, before packing
# Tags that say how the pixels lie in the file: ours replace whatever the EXIF block brought along.
_STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332),
    *(333, 334, 336, 337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520),
    *(521, 529, 530, 531, 532, _ICC),
}


def encode_tiff(picture: Picture) -> bytes:
    """A TIFF file of a picture at its own depth, packed without loss (deflate).

    The file *is* the EXIF block, continued: pixels and a new first directory follow it, so that
    every offset inside (maker notes, GPS) stays true.
    """
    pixels, exif = picture.pixels, picture.exif
    fields = exif_block.entries(exif) if exif else []
    if fields is None:
        warnings.warn("the EXIF block is broken and was left out of the TIFF", stacklevel=4)
        exif, fields = None, []
    order = exif_block.byte_order(exif or b"II")
    file = bytearray(exif or b"II*\0\0\0\0\0")
    height, width, channels = pixels.shape
    rows = max(1, _STRIP // (width * channels * pixels.dtype.itemsize))
    strips = [_append(file, strip) for strip in _strips(pixels, rows, order)]
    own = [
        *((256, _LONG, [width]), (257, _LONG, [height])),
        (258, _SHORT, [8 * pixels.dtype.itemsize] * channels),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [2 if channels >= 3 else 1]),
        (273, _LONG, [at for at, _ in strips]),
        *((277, _SHORT, [channels]), (278, _LONG, [rows])),
        (279, _LONG, [length for _, length in strips]),
        *((284, _SHORT, [1]), (317, _SHORT, [2])),  # contiguous; differences along rows
        *([(338, _SHORT, [2])] if channels in (2, 4) else []),  # alpha, not multiplied in
        (339, _SHORT, [1] * channels),
    ]
    own += _resolution(picture, {entry.tag for entry in fields})
    directory = {tag: _field(file, order, (tag, kind, values)) for tag, kind, values in own}
    for entry in fields:
        if entry.tag not in _STRUCTURE:
            packed = struct.pack(order + "HHI", entry.tag, entry.kind, entry.length)
            directory[entry.tag] = packed + entry.value
    directory |= _blocks(file, order, picture)
    body = b"".join(directory[tag] for tag in sorted(directory))
    at, _ = _append(file, struct.pack(order + "H", len(directory)) + body + bytes(4))
    struct.pack_into(order + "I", file, 4, at)
    return bytes(file)


def _resolution(picture: Picture, said: set[int]) -> list[tuple[int, int, list[int]]]:
    """The picture's resolution as fields, unless the EXIF block says it."""
    density = picture.carried.density
    if density is None or said & set(_RESOLUTION):
        return []
    unit = {"inch": 2, "cm": 3, "": 1}[density.unit]
    across, down = (min(round(v * _FINE), (1 << 32) - 1) for v in (density.x, density.y))
    return [
        (282, _RATIONAL, [across, _FINE]),
        (283, _RATIONAL, [down, _FINE]),
        (296, _SHORT, [unit]),
    ]


def _blocks(file: bytearray, order: str, picture: Picture) -> dict[int, bytes]:
    """Profile, XMP and IPTC as fields, their bytes appended to the file."""
    carried = picture.carried
    wanted = (
        (_XMP, _BYTE, carried.xmp),
        (_IPTC, _UNDEFINED, carried.iptc),
        (_ICC, _UNDEFINED, picture.icc),
    )
    found = {}
    for tag, kind, block in wanted:
        if block:
            at, length = _append(file, block.ljust(5, b"\0"))  # up to 4 bytes would stand inline
            found[tag] = struct.pack(order + "HHII", tag, kind, length, at)
    return found


def _strips(pixels: Pixels, rows: int, order: str) -> Iterator[bytes]:
    for start in range(0, len(pixels), rows):
        strip = pixels[start : start + rows]
        steps = np.concatenate([strip[:, :1], strip[:, 1:] - strip[:, :-1]], axis=1)  # wraps round
        ordered = steps.byteswap() if steps.itemsize == 2 and order != _NATIVE else steps
        yield zlib.compress(ordered.tobytes(), 4)


def _append(file: bytearray, data: bytes) -> tuple[int, int]:
    """Offset and length of `data` once it is added at an even place, as TIFF asks."""
    file.extend(bytes(len(file) % 2))
    at = len(file)
    file.extend(data)
    return at, len(data)


def _field(file: bytearray, order: str, field: tuple[int, int, list[int]]) -> bytes:
    tag, kind, values = field
    data = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
    head = struct.pack(order + "HHI", tag, kind, len(values) // (2 if kind == _RATIONAL else 1))
    if len(data) <= 4:
        return head + data.ljust(4, b"\0")
    return head + struct.pack(order + "I", _append(file, data)[0])
