"""TIFF beyond Pillow: 16 bit read and written, and EXIF carried over byte for byte (TIFF 6.0)."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from locstyle.errors import PhotoError
from locstyle.photo import exif as exif_block
from locstyle.photo.png import Pixels

if TYPE_CHECKING:
    import tifffile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NATIVE = "<" if sys.byteorder == "little" else ">"
_ICC, _ORIENTATION, _DNG_VERSION = 34675, 274, 50706
_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_UNPACKED_BY_TIFFFILE = (1, 8, 32946)  # none and deflate; LZW, for one, would need imagecodecs
_STRIP = 1 << 18  # bytes of pixels per strip, before packing
# Tags that say how the pixels lie in the file: ours replace whatever the EXIF block brought along.
_STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332),
    *(333, 334, 336, 337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520),
    *(521, 529, 530, 531, 532, _ICC),
}


def check_pages(data: bytes) -> bool:
    """Whether a TIFF file is for `decode_tiff`: Pillow would drop bits or extra channels.

    Raises:
        PhotoError: a camera raw file, or more than one page.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        is_raw = data[8:10] == b"CR" or _DNG_VERSION in page.tags or page.subfiletype & 1
        if is_raw:
            raise PhotoError("a camera raw file; develop it to a TIFF, PNG or JPEG first")
        full = [p for p in file.pages if not p.aspage().subfiletype & 1]
        if len(full) > 1:
            raise PhotoError(f"a TIFF of {len(full)} pages; save the one you want as its own file")
        has_odd_channels = len(page.extrasamples) > 1 or 0 in page.extrasamples
        return bool(np.max(page.bitspersample) > 8 or has_odd_channels)


def decode_tiff(data: bytes, largest: float) -> tuple[Pixels, bytes | None, int]:
    """Pixels [H, W, C], ICC profile and orientation of a TIFF with 8 or 16 bits a channel.

    Args:
        largest: the number of pixels above which nothing is decoded.

    Raises:
        PhotoError: too large, truncated, or of a kind that is not read.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        _check_page(page, len(data), largest)
        pixels = _pixels(page, data)
        tag = page.tags.get(_ORIENTATION)
        profile = page.tags.get(_ICC)
        if page.photometric == 0:  # white is zero
            pixels = ~pixels
        if tuple(page.extrasamples) == (1,):
            pixels = _straight(pixels)
        orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
        return pixels, bytes(profile.value) if profile is not None else None, orientation


def _check_page(page: tifffile.TiffPage, length: int, largest: float) -> None:
    bits, form, channels = page.bitspersample, page.sampleformat, page.samplesperpixel
    if page.imagelength * page.imagewidth > largest:
        raise PhotoError(
            f"{page.imagewidth} × {page.imagelength} pixels; at most {int(largest)} are opened"
        )
    if bits not in (8, 16) or form != 1:
        kind = {1: "unsigned", 2: "signed", 3: "float"}.get(form, "unknown")
        raise PhotoError(f"a TIFF of {bits} bits {kind} a channel; save it with 8 or 16 bits")
    if (page.photometric, channels) not in {(0, 1), (0, 2), (1, 1), (1, 2), (2, 3), (2, 4)}:
        raise PhotoError(
            f"a TIFF of {channels} channels, colours {page.photometric!s}; "
            "save it as grey or RGB with at most one alpha channel"
        )
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if not segments or any(n <= 0 or at + n > length for at, n in segments):
        raise PhotoError("the TIFF is truncated; copy or export it again")  # tifffile reads zeros


def _pixels(page: tifffile.TiffPage, data: bytes) -> Pixels:
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    if page.compression in _UNPACKED_BY_TIFFFILE:
        array = page.asarray(maxworkers=1)
        if page.planarconfig == 2 and shape[2] > 1:
            array = np.moveaxis(array, 0, -1)
        kind = np.uint8 if page.bitspersample == 8 else np.uint16
        unpacked: Pixels = array.reshape(shape).astype(kind)
        return unpacked
    array = _decode_with_opencv(page, data)
    if array is None or array.size != np.prod(shape):
        raise PhotoError(
            f"a {page.bitspersample}-bit TIFF packed with {page.compression!s}; "
            "save it uncompressed or with ZIP"
        )
    return array.reshape(shape)


def _decode_with_opencv(page: tifffile.TiffPage, data: bytes) -> Pixels | None:
    import cv2

    source = bytearray(data)
    tag = page.tags.get(_ORIENTATION)
    if tag is not None:  # OpenCV may or may not turn the picture: leave it nothing to do
        struct.pack_into(page.parent.byteorder + "H", source, tag.valueoffset, 1)
    array: Any = cv2.imdecode(np.frombuffer(source, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or 8 * array.dtype.itemsize != page.bitspersample:
        return None
    if array.ndim == 3 and array.shape[2] >= 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    pixels: Pixels = np.ascontiguousarray(array)
    return pixels


def _straight(pixels: Pixels) -> Pixels:
    """Colours divided by their alpha: TIFF may store them multiplied, a Photo does not."""
    full = np.iinfo(pixels.dtype).max
    alpha = np.maximum(pixels[..., -1:], 1).astype(np.float64)
    result = pixels.copy()
    result[..., :-1] = np.minimum(np.rint(pixels[..., :-1] * float(full) / alpha), full)
    return result


def encode_tiff(pixels: Pixels, icc: bytes | None, exif: bytes | None) -> bytes:
    """A TIFF file of pixels [H, W, C] at their own depth, packed without loss (deflate).

    The file *is* the EXIF block, continued: pixels and a new first directory follow it, so that
    every offset inside (maker notes, GPS) stays true.
    """
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
    directory = {tag: _field(file, order, (tag, kind, values)) for tag, kind, values in own}
    if icc:
        at, length = _append(file, icc)
        directory[_ICC] = struct.pack(order + "HHII", _ICC, _UNDEFINED, length, at)
    for entry in fields:
        if entry.tag not in _STRUCTURE:
            packed = struct.pack(order + "HHI", entry.tag, entry.kind, entry.length)
            directory[entry.tag] = packed + entry.value
    body = b"".join(directory[tag] for tag in sorted(directory))
    at, _ = _append(file, struct.pack(order + "H", len(directory)) + body + bytes(4))
    struct.pack_into(order + "I", file, 4, at)
    return bytes(file)


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
    data = struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
    head = struct.pack(order + "HHI", tag, kind, len(values))
    if len(data) <= 4:
        return head + data.ljust(4, b"\0")
    return head + struct.pack(order + "I", _append(file, data)[0])
