"""TIFF beyond Pillow: 16 bit, planes, Lab; and what is refused before anybody decodes it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from locstyle.errors import PhotoError
from locstyle.files import bounds
from locstyle.photo.carried import Carried, of_tiff
from locstyle.photo.png import Pixels

if TYPE_CHECKING:
    import tifffile

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ICC, _ORIENTATION, _DNG_VERSION = 34675, 274, 50706
_UNPACKED_BY_TIFFFILE = (1, 8, 32946)  # none and deflate; LZW, for one, would need imagecodecs
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _LAB, _ICC_LAB = 0, 1, 2, 5, 8, 9
# Colours and channels that are read.
_READ = {(0, 1), (0, 2), (1, 1), (1, 2), (2, 3), (2, 4), (_CMYK, 4), (_LAB, 3), (_ICC_LAB, 3)}


@dataclass(frozen=True)
class Page:
    """What a TIFF's first directory says.

    Attributes:
        width, height: pixels, as stored.
        is_ours: whether it is for `decode_tiff`: Pillow would drop bits or channels.
        is_turned: whether it names an orientation, which then counts before that of XMP.
        carried: what it says beside pixels, profile and EXIF.
    """

    width: int
    height: int
    is_ours: bool
    is_turned: bool
    carried: Carried


def read_page(data: bytes) -> Page:
    """What there is in a TIFF file, nothing decoded.

    Raises:
        PhotoError: a camera raw file, more than one page, or directories without an end.
    """
    import tifffile

    _check_directories(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        is_raw = data[8:10] == b"CR" or _DNG_VERSION in page.tags or page.subfiletype & 1
        if is_raw:
            raise PhotoError("a camera raw file; develop it to a TIFF, PNG or JPEG first")
        full = [p for p in file.pages if not p.aspage().subfiletype & 1]
        if len(full) > 1:
            raise PhotoError(f"a TIFF of {len(full)} pages; save the one you want as its own file")
        return Page(
            page.imagewidth,
            page.imagelength,
            _is_ours(page),
            _ORIENTATION in page.tags,
            of_tiff(page),
        )


def _is_ours(page: tifffile.TiffPage) -> bool:
    channels = page.samplesperpixel
    has_odd_channels = len(page.extrasamples) > 1 or 0 in page.extrasamples
    is_planar_grey = page.planarconfig == 2 and channels == 2  # Pillow reads its alpha as 0
    is_deep = bool(np.max(page.bitspersample) > 8)
    return is_deep or has_odd_channels or is_planar_grey or page.photometric == _ICC_LAB


def _check_directories(data: bytes) -> None:
    """Refuses directories that run in a circle, which some decoders follow for ever."""
    order = ">" if data[:2] == b"MM" else "<"
    is_big = data[2:3] == b"+" or data[3:4] == b"+"
    offset, count, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    seen: set[int] = set()
    place = 8 if is_big else 4
    try:
        while (at := struct.unpack_from(order + offset, data, place)[0]) != 0:
            if at in seen or len(seen) >= bounds.TIFF_PAGES:
                raise PhotoError("a TIFF whose directories have no end; copy or export it again")
            seen.add(at)
            entries = struct.unpack_from(order + count, data, at)[0]
            place = at + struct.calcsize(order + count) + entry * entries
    except struct.error:
        if not seen:
            raise PhotoError("the TIFF is truncated; copy or export it again") from None


def decode_tiff(data: bytes) -> tuple[Pixels, bytes | None, int, tuple[str, ...]]:
    """Pixels [H, W, C], ICC profile and orientation of a TIFF with 8 or 16 bits a channel.

    CMYK and Lab come out as sRGB, and what was done is said last.

    Raises:
        PhotoError: truncated, or of a kind that is not read.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0].aspage()
        _check_page(page, len(data))
        pixels = _pixels(page, data)
        tag = page.tags.get(_ORIENTATION)
        profile = page.tags.get(_ICC)
        icc = bytes(profile.value) if profile is not None else None
        if page.photometric == _WHITE_IS_ZERO:
            pixels = ~pixels
        if tuple(page.extrasamples) == (1,):
            pixels = _straight(pixels)
        remarks: tuple[str, ...] = ()
        if page.photometric in (_CMYK, _LAB, _ICC_LAB):
            pixels, said = _in_srgb(pixels, page.photometric, icc)
            icc, remarks = None, (said,)
        orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
        return pixels, icc, orientation, remarks


def _in_srgb(pixels: Pixels, photometric: int, icc: bytes | None) -> tuple[Pixels, str]:
    from locstyle.photo import inks

    if photometric == _CMYK:  # 16 bits as 8, which is what littleCMS converts
        eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
        height, width = pixels.shape[:2]
        return inks.from_cmyk(Image.frombytes("CMYK", (width, height), eight.tobytes()), icc)
    bits = 8 * pixels.dtype.itemsize
    step = float(1 << (bits - 8))  # a* and b* count in whole steps at 8 bit
    half = 1 << (bits - 1)
    signed = pixels[..., 1:].astype(np.int32)
    signed = (signed + half) % (2 * half) - half if photometric == _LAB else signed - half
    lightness = pixels[..., :1] * np.float32(100 / np.iinfo(pixels.dtype).max)
    return inks.from_lab(np.concatenate([lightness, signed / np.float32(step)], -1)), inks.LAB


def _check_page(page: tifffile.TiffPage, length: int) -> None:
    bits, form, channels = page.bitspersample, page.sampleformat, page.samplesperpixel
    if bits not in (8, 16) or form != 1:
        kind = {1: "unsigned", 2: "signed", 3: "float"}.get(form, "unknown")
        raise PhotoError(f"a TIFF of {bits} bits {kind} a channel; save it with 8 or 16 bits")
    if (page.photometric, channels) not in _READ:
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
