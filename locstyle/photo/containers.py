"""AVIF and HEIC: pictures in the boxes of video files (ISO/IEC 14496-12, 23008-12)."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
from PIL import Image, features

from locstyle.errors import PhotoError
from locstyle.extras import pip_line
from locstyle.photo import carried as carry
from locstyle.photo import exif as exif_block
from locstyle.photo import named
from locstyle.photo.carried import Carried
from locstyle.photo.kinds import check_frames, check_size
from locstyle.photo.picture import Picture, upright

_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_HEAD = 1 << 16  # bytes within which the boxes that describe a picture begin


def is_ours(data: bytes) -> bool:
    """Whether a file is one of the two."""
    return data[4:8] == b"ftyp" and data[8:12] in (*_AVIF, *_HEIF)


def decode(data: bytes) -> Picture:
    """The picture in it.

    Raises:
        PhotoError: what reads it is not installed, or high dynamic range.
    """
    brands = data[8 : int.from_bytes(data[:4], "big")][:256]
    return _avif(data) if any(brand in brands for brand in _AVIF) else _heif(data)


def _avif(data: bytes) -> Picture:
    if not features.check("avif"):
        raise PhotoError("an AVIF picture, which this Pillow cannot read; install pillow 11.3 on")
    with Image.open(io.BytesIO(data), formats=("AVIF",)) as image:
        check_size(*image.size)
        check_frames(getattr(image, "n_frames", 1))
        image.load()
        picture = upright(image, carry.of_other(image))
    deep = _bits(data)
    said = (f"an AVIF of {deep} bits a channel, read at 8",) if deep > 8 else ()
    return replace(picture, icc=picture.icc or _named(data), remarks=said)


def _heif(data: bytes) -> Picture:
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(
            f"a HEIC picture, which needs pillow-heif: {pip_line('heic')}; or export it as JPEG, "
            "PNG or TIFF"
        ) from error
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    check_size(*file.size)
    image = file[file.primary_index] if len(file) > 1 else file
    pixels = np.array(np.asarray(image))
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    info = image.info
    icc = info.get("icc_profile") or _named(data)
    lost = [f"its {len(file) - 1} further pictures"] if len(file) > 1 else []
    lost += (
        ["its gain map, depth or other maps"] if info.get("aux") or info.get("depth_images") else []
    )
    carried = Carried(xmp=info.get("xmp") or None, lost=tuple(lost))
    block = exif_block.bare(info.get("exif"))
    # libheif has turned the pixels already; what EXIF says of that is left over.
    block = exif_block.upright(block) if block else None
    return Picture(pixels, icc or named.of_exif(block), block, "HEIF", carried.upright())


def _named(data: bytes) -> bytes | None:
    """The profile that codes name; None for sRGB, or if there are none."""
    at = data.find(b"colrnclx", 0, _HEAD)
    if at < 0 or at + 12 > len(data):
        return None
    return named.of_codes(*struct.unpack_from(">HH", data, at + 8))


def _bits(data: bytes) -> int:
    """The most bits a channel has; 8 if the file does not say."""
    at = data.find(b"pixi", 0, _HEAD)
    if at < 0 or at + 9 > len(data):
        return 8
    return max(data[at + 9 : at + 9 + data[at + 8]], default=8)
