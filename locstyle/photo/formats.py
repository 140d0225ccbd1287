"""Picture files to pixels and back: what Pillow reads, cannot read, and would let pass."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from locstyle.errors import OutputError, PhotoError
from locstyle.files import PHOTO_FORMATS, check_format
from locstyle.photo import exif as exif_block
from locstyle.photo import png, tiff
from locstyle.photo.png import Pixels

_READ = ("PNG", "JPEG", "WEBP")  # JPEG opens the MPO of phones and cameras too
_JPEG_SEGMENT = 65533  # bytes a JPEG's EXIF segment can hold
_AS_IS = ("L", "LA", "RGB", "RGBA")
_EXPANDED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB"}
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}  # when a colour is transparent


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels as they should be seen and what belongs to them; the values of `Photo`, no more.

    Attributes:
        pixels: [H, W, C] uint8 or uint16, C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        icc: the colour profile.
        exif: a bare block (see `locstyle.photo.exif`), its orientation reset to 1.
        format: "PNG", "JPEG", "WEBP" or "TIFF".
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None
    format: str = "PNG"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[2] in (2, 4)


def decode(data: bytes) -> Picture:
    """The picture in a file's bytes, EXIF orientation applied.

    Raises:
        PhotoError: without the path, which the caller knows.
    """
    try:
        with _strict_pillow():
            return _decode(data)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"more than {int(largest_picture())} pixels: taken for a decompression bomb; "
            "scale it down, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        ) from error
    except UnidentifiedImageError as error:
        raise PhotoError(_not_a_picture(data)) from error
    # Decoders raise whatever they like on broken files (OSError, SyntaxError, struct.error, …).
    except Exception as error:
        raise PhotoError(f"cannot be read ({error}); copy or export it again") from error


def largest_picture() -> float:
    """The number of pixels above which nothing is opened: where Pillow stops, for every decoder."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Truncated files raise, whatever another library set; decoders' warnings stay inside."""
    lenient, chatter = ImageFile.LOAD_TRUNCATED_IMAGES, logging.getLogger("tifffile")
    was_silent, chatter.disabled = chatter.disabled, True  # it logs what we raise
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, chatter.disabled = lenient, was_silent


def _decode(data: bytes) -> Picture:
    if data[:4] in tiff.MAGIC:
        return _decode_tiff(data)
    with Image.open(io.BytesIO(data), formats=_READ) as image:
        _check_frames(image)
        if image.format == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise PhotoError("the WebP is truncated; copy or export it again")
        chunks = dict(png.read_chunks(data)) if image.format == "PNG" else {}
        image.load()
        is_deep_png = bool(chunks) and chunks[b"IHDR"][8] == 16  # Pillow makes it 8 bit
        return _upright(image, _png16(data, chunks) if is_deep_png else pixels_of(image))


def _check_frames(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.format in ("PNG", "WEBP") and frames > 1:  # an MPO's others are previews
        raise PhotoError(
            f"an animation of {frames} frames; save the one you want as a still picture"
        )


def _decode_tiff(data: bytes) -> Picture:
    block = exif_block.from_tiff(data)
    block = exif_block.upright(block) if block else None
    if tiff.check_pages(data):
        pixels, icc, turn = tiff.decode_tiff(data, largest_picture())
        return Picture(turned(pixels, turn), icc, block, "TIFF")
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        image.load()  # Pillow turns TIFFs (and only those) upright by itself
        return Picture(pixels_of(image), image.info.get("icc_profile") or None, block, "TIFF")


def from_pil(image: Image.Image) -> Picture:
    """The picture a Pillow image holds; an EXIF orientation it still carries is applied."""
    return _upright(image, pixels_of(image))


def _upright(image: Image.Image, pixels: Pixels) -> Picture:
    block = exif_block.bare(_exif_of(image))
    pixels = turned(pixels, exif_block.orientation(block))
    kind = {"MPO": "JPEG"}.get(image.format or "", image.format or "")
    return Picture(
        pixels,
        icc=image.info.get("icc_profile") or None,
        exif=exif_block.upright(block) if block else None,
        format=kind if kind in PHOTO_FORMATS.values() else "PNG",
    )


def _exif_of(image: Image.Image) -> bytes | None:
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:  # ImageMagick's older PNGs
        try:
            return bytes.fromhex("".join(str(image.info["Raw profile type exif"]).split("\n")[3:]))
        except ValueError:
            return None
    return block if isinstance(block, bytes) else None


def pixels_of(image: Image.Image) -> Pixels:
    """Pixels [H, W, C] of a Pillow image: palettes and transparent colours expanded.

    Raises:
        PhotoError: a mode (CMYK, Lab, 32-bit, …) that is neither grey nor RGB.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if "transparency" in image.info and mode in _WITH_ALPHA:
        image = image.convert(_WITH_ALPHA[mode])
    elif mode == "P":
        has_alpha = image.palette is not None and image.palette.mode == "RGBA"
        image = image.convert("RGBA" if has_alpha else "RGB")
    elif mode in _EXPANDED:
        image = image.convert(_EXPANDED[mode])
    elif mode not in _AS_IS:
        raise PhotoError(
            f"a picture in {mode} colours; grey and RGB are read, 8 or 16 bits a channel: "
            "convert it in an image editor"
        )
    pixels = np.array(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


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


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels as they should be seen, for an EXIF orientation of 1-8."""
    seen: Pixels = pixels.transpose(1, 0, 2) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        seen = seen[::-1]
    if orientation in (2, 3, 6, 7):
        seen = seen[:, ::-1]
    return seen.copy(order="C")


def _not_a_picture(data: bytes) -> str:
    known = "PNG, JPEG, WebP and TIFF are read"
    if data[4:8] == b"ftyp":
        return f"a HEIC, AVIF or video file; {known}: export it as one of these"
    if data[:2] == b"\xff\xd8" or data[:8] == png.SIGNATURE or data[8:12] == b"WEBP":
        return "a picture that is truncated or damaged; copy or export it again"
    return f"not a picture that can be read; {known}"


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels at 8 bits a channel, rounded; the same array when they have 8."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_pil(picture: Picture) -> Image.Image:
    """The picture at 8 bit, in mode L, LA, RGB or RGBA, with its profile in `info`."""
    pixels = eight_bit(picture.pixels)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    return image


def encode(picture: Picture, path: Path, text: Mapping[str, str]) -> bytes:
    """The bytes of a file in the format of `path`'s ending.

    PNG and TIFF keep everything, PNG the text as well; WebP is lossless at 8 bit; JPEG is 8 bit,
    quality 95, colours at full resolution.

    Raises:
        OutputError: a format that cannot hold the alpha or the size.
    """
    check_format(path, picture)
    kind = PHOTO_FORMATS[path.suffix.lower()]
    if kind == "PNG":
        return png.encode_png(picture.pixels, png.metadata_chunks(picture.icc, picture.exif, text))
    if kind == "TIFF":
        return tiff.encode_tiff(picture.pixels, picture.icc, picture.exif)
    try:
        return _encode_with_pillow(picture, kind)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: cannot be written as {kind} ({error}); use .png or .tif"
        ) from error


def _encode_with_pillow(picture: Picture, kind: str) -> bytes:
    block = exif_block.PREFIX + picture.exif if picture.exif else b""
    if kind == "JPEG" and len(block) > _JPEG_SEGMENT:
        warnings.warn(
            f"{len(block)} bytes of EXIF were left out: JPEG holds {_JPEG_SEGMENT}", stacklevel=5
        )
        block = b""
    options: dict[str, object] = (
        {"quality": 95, "subsampling": 0}
        if kind == "JPEG"
        # exact: also the colours under full transparency are the photo's
        else {"lossless": True, "exact": True, "quality": 80, "method": 4}
    )
    target = io.BytesIO()
    icc = picture.icc or b""
    to_pil(picture).save(target, format=kind, icc_profile=icc, exif=block, **options)
    return target.getvalue()
