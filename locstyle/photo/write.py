"""Pictures to files: what each format can hold is written, and what it cannot is named."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from locstyle.errors import OutputError
from locstyle.files import PHOTO_FORMATS, check_format
from locstyle.photo import carried as carry
from locstyle.photo import exif as exif_block
from locstyle.photo import png, read, tiff_writer
from locstyle.photo.picture import Picture, to_pil

LOSSLESS = ("PNG", "TIFF", "WEBP")
DEEP = ("PNG", "TIFF")
"""Formats that hold 16 bits a channel."""

_SEGMENT = 65533  # bytes a JPEG's segment can hold
_XMP_SEGMENT = 65502


def encode(picture: Picture, path: Path, text: Mapping[str, str]) -> bytes:
    """The bytes of a file in the format of `path`'s ending.

    PNG and TIFF keep everything, PNG the text as well; WebP is lossless at 8 bit; JPEG is 8 bit,
    quality 95, colours at full resolution. What the format cannot hold is named in one warning.

    Raises:
        OutputError: a format that cannot hold the alpha, the size or the profile, or a file that
            came out unreadable.
    """
    check_format(path, picture)
    kind = PHOTO_FORMATS[path.suffix.lower()]
    try:
        if kind == "PNG":
            data = png.encode_png(picture.pixels, _png_chunks(picture, text))
        elif kind == "TIFF":
            data = tiff_writer.encode_tiff(picture)
        else:
            data = _encode_with_pillow(picture, kind)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: cannot be written as {kind} ({error}); use .png or .tif"
        ) from error
    read.check(data, picture.size, path)
    lost = [*picture.carried.left_out(kind), *_too_long(picture, kind)]
    if picture.pixels.dtype == np.uint16 and kind not in DEEP:
        warnings.warn(
            f"{path.name}: 16 bits a channel became 8, {kind} holds no more; .png and .tif do",
            stacklevel=3,
        )
    if lost:
        warnings.warn(f"{path.name}: not carried over: {'; '.join(lost)}", stacklevel=3)
    return data


def _png_chunks(picture: Picture, text: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    carried = picture.carried
    yield from carried.chunks
    if carried.significant and len(carried.significant) == picture.pixels.shape[2]:
        yield b"sBIT", bytes(carried.significant)
    if picture.icc and b"sRGB" not in dict(carried.chunks):
        yield png.profile_chunk(picture.icc)
    if carried.density is not None:
        x, y = carried.density.per_metre()
        yield b"pHYs", struct.pack(">IIB", x, y, 1 if carried.density.unit else 0)
    if picture.exif:
        yield b"eXIf", picture.exif
    said = dict(carried.text) | dict(text)
    if carried.xmp:
        said[carry.XMP_TEXT] = carried.xmp.decode("utf-8", "replace")
    if carried.iptc:
        name, block = carry.raw_text("iptc", carry.resources_of(carried.iptc))
        said[name] = block
    for keyword, value in said.items():
        yield png.text_chunk(keyword, value)


def _too_long(picture: Picture, kind: str) -> Iterator[str]:
    """What a JPEG's segments are too short for."""
    if kind == "JPEG":
        if picture.exif and not _fitting_exif(picture):
            yield f"{len(picture.exif)} bytes of EXIF (JPEG holds {_SEGMENT})"
        if picture.carried.xmp and not _fitting_xmp(picture):
            yield f"{len(picture.carried.xmp)} bytes of XMP (JPEG holds {_XMP_SEGMENT})"
        if picture.carried.iptc and not _fitting_iptc(picture):
            yield f"{len(picture.carried.iptc)} bytes of IPTC (JPEG holds {_SEGMENT})"


def _fitting_exif(picture: Picture) -> bytes:
    block = exif_block.PREFIX + picture.exif if picture.exif else b""
    return block if len(block) <= _SEGMENT else b""


def _fitting_xmp(picture: Picture) -> bytes:
    packet = picture.carried.xmp or b""
    return packet if len(packet) <= _XMP_SEGMENT else b""


def _fitting_iptc(picture: Picture) -> bytes:
    """The records as a JPEG's segment, its marker and length in front."""
    if picture.carried.iptc is None:
        return b""
    body = b"Photoshop 3.0\0" + carry.resources_of(picture.carried.iptc)
    return struct.pack(">2sH", b"\xff\xed", len(body) + 2) + body if len(body) <= _SEGMENT else b""


def _encode_with_pillow(picture: Picture, kind: str) -> bytes:
    target, icc = io.BytesIO(), picture.icc or b""
    if kind == "WEBP":  # exact: also the colours under full transparency are the photo's
        block = exif_block.PREFIX + picture.exif if picture.exif else b""
        to_pil(picture).save(
            target,
            format=kind,
            icc_profile=icc,
            exif=block,
            xmp=picture.carried.xmp or b"",
            lossless=True,
            exact=True,
            quality=80,
            method=4,
        )
        return target.getvalue()
    to_pil(picture).save(
        target,
        format=kind,
        icc_profile=icc,
        exif=_fitting_exif(picture),
        xmp=_fitting_xmp(picture),
        comment=picture.carried.text.get("Comment", "").encode()[:_SEGMENT],
        extra=_fitting_iptc(picture),
        quality=95,
        subsampling=0,
    )
    return _with_density(target.getvalue(), picture.carried.density)


def _with_density(jpeg: bytes, density: carry.Density | None) -> bytes:
    """The JPEG with the density in its first segment, which Pillow rounds and knows in inches."""
    if density is None or jpeg[6:11] != b"JFIF\0":
        return jpeg
    unit = {"inch": 1, "cm": 2, "": 0}[density.unit]
    x, y = density.x, density.y
    if unit == 2 and (round(x), round(y)) != (x, y):  # whole numbers only: inches are finer
        unit, (x, y) = 1, density.per("inch")
    values = (min(max(round(v), 1), 65535) for v in (x, y))
    return jpeg[:13] + struct.pack(">BHH", unit, *values) + jpeg[18:]
