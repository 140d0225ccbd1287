"""Picture files to pixels: what Pillow reads, cannot read, and would let pass."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from locstyle.errors import OutputError, PhotoError
from locstyle.photo import carried as carry
from locstyle.photo import containers, named, png, tiff
from locstyle.photo import exif as exif_block
from locstyle.photo.kinds import check_frames, check_size, not_a_picture
from locstyle.photo.picture import (
    Picture,
    colours_of,
    exif_of,
    picture_of,
    pixels_of,
    turned,
    upright,
)
from locstyle.photo.png import Pixels
from locstyle.photo.strict import strict_pillow

_READ = ("JPEG", "WEBP", "GIF")  # JPEG opens the MPO of phones and cameras too


def decode(data: bytes) -> Picture:
    """The picture in a file's bytes, EXIF orientation applied.

    Raises:
        PhotoError: without the path, which the caller knows.
    """
    try:
        with strict_pillow():
            picture = _decode(data)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:  # in a picture within the file
        raise PhotoError(f"{error}; copy or export it again") from error
    except UnidentifiedImageError as error:
        raise PhotoError(not_a_picture(data)) from error
    # Decoders raise whatever they like on broken files (OSError, SyntaxError, struct.error, …).
    except Exception as error:
        raise PhotoError(f"cannot be read ({error}); copy or export it again") from error
    if 0 in picture.pixels.shape:
        raise PhotoError("a picture of no pixels; copy or export it again")
    return picture


def indices(data: bytes) -> NDArray[np.uint8] | None:
    """The palette's indices [H, W] in a file's bytes, upright; None for a picture without one.

    The file is one that `decode` took.
    """
    is_png = data.startswith(png.SIGNATURE)
    plain = png.bare(data) if is_png else data
    with strict_pillow(), Image.open(io.BytesIO(plain)) as image:
        if image.mode != "P":
            return None
        block = dict(png.read_chunks(data)).get(b"eXIf") if is_png else exif_of(image)
        turn = exif_block.orientation(exif_block.bare(block))
        return turned(np.array(image)[..., None], turn)[..., 0].astype(np.uint8)


def check(data: bytes, size: tuple[int, int], path: Path) -> None:
    """Refuses bytes to be written that other programs would not open as a picture of that (height,
    width).

    Raises:
        OutputError: names the path.
    """
    try:
        with strict_pillow():
            found = _size_of(data)
    except Exception as error:  # as many kinds as there are decoders
        raise OutputError(
            f"{path}: came out unreadable ({error}); choose another format"
        ) from error
    if found != size:
        raise OutputError(f"{path}: came out as {found} instead of {size} (height, width)")


def _size_of(data: bytes) -> tuple[int, int]:
    """(height, width) of a file's picture, decoded as little as can be."""
    if data[:4] in tiff.MAGIC:  # Pillow reads no colours of 16 bits
        page = tiff.read_page(data)
        return page.height, page.width
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
        return image.height, image.width


def _decode(data: bytes) -> Picture:
    if data[:4] in tiff.MAGIC:
        return _decode_tiff(data)
    if data.startswith(png.SIGNATURE):
        return _decode_png(data)
    if containers.is_ours(data):
        return containers.decode(data)
    with Image.open(io.BytesIO(data), formats=_READ) as image:
        check_size(*image.size)
        if image.format == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise PhotoError("the WebP is truncated; copy or export it again")
        if image.format == "GIF":
            return _first_frame(image)
        if image.format == "WEBP":  # a JPEG's others are previews
            check_frames(getattr(image, "n_frames", 1))
        image.load()
        is_jpeg = image.format in ("JPEG", "MPO")
        return upright(image, carry.of_jpeg(image) if is_jpeg else carry.of_other(image))


def _first_frame(image: Image.Image) -> Picture:
    frames = getattr(image, "n_frames", 1)
    image.seek(0)
    image.load()
    picture = upright(image, carry.of_other(image))
    said = f"an animation of {frames} frames, of which the first is taken"
    return replace(picture, remarks=(said,)) if frames > 1 else picture


def _decode_png(data: bytes) -> Picture:
    chunks = [*png.read_chunks(data)]
    found = dict(reversed(chunks))
    width, height = (int.from_bytes(found[b"IHDR"][at : at + 4], "big") for at in (0, 4))
    check_size(width, height)
    if b"acTL" in found:
        check_frames(int.from_bytes(found[b"acTL"][:4], "big"))
    bare = png.bare(data)
    if found[b"IHDR"][8] == 16:  # Pillow makes it 8 bit
        pixels: Pixels = _png16(bare, found)
    else:
        with Image.open(io.BytesIO(bare), formats=("PNG",)) as image:
            image.load()
            pixels = pixels_of(image)
    carried = carry.of_png(chunks, pixels.shape[2])
    try:
        icc = named.of_png(found)
    except ValueError as error:
        icc, carried = None, replace(carried, lost=(*carried.lost, str(error)))
    return picture_of(pixels, icc, found.get(b"eXIf") or carry.raw_exif(chunks), "PNG", carried)


def _decode_tiff(data: bytes) -> Picture:
    block = exif_block.from_tiff(data)
    block = exif_block.upright(block) if block else None
    page = tiff.read_page(data)
    check_size(page.width, page.height)
    if page.is_ours:
        pixels, icc, turn, remarks = tiff.decode_tiff(data)
        turn = turn if page.is_turned else page.carried.orientation
        pixels = turned(pixels, turn)
    else:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            image.load()  # Pillow turns TIFFs (and only those) upright by itself
            icc = image.info.get("icc_profile") or None
            pixels, icc, remarks = colours_of(image, icc)
    return Picture(pixels, icc, block, "TIFF", page.carried.upright(), remarks)


def _png16(data: bytes, chunks: Mapping[bytes, bytes]) -> NDArray[np.uint16]:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise PhotoError("a 16-bit PNG that cannot be unpacked; export it again")
    if array.ndim == 2:
        array = array[..., None]
    kind = chunks[b"IHDR"][9]
    order = {0: [0], 2: [2, 1, 0], 4: [0, -1], 6: [2, 1, 0, 3]}[kind]  # OpenCV has blue first
    pixels: NDArray[np.uint16] = np.ascontiguousarray(array[..., order])
    return _with_key(pixels, chunks.get(b"tRNS")) if kind in (0, 2) else pixels


def _with_key(pixels: NDArray[np.uint16], key: bytes | None) -> NDArray[np.uint16]:
    """Pixels plus an alpha that is 0 where the colour is the key, PNG's tRNS, else full."""
    if key is None or len(key) != 2 * pixels.shape[2]:
        return pixels
    is_opaque = (pixels != np.frombuffer(key, ">u2")).any(-1, keepdims=True)
    return np.concatenate([pixels, is_opaque.astype(np.uint16) * np.uint16(65535)], axis=-1)
