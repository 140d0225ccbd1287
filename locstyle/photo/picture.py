"""Picture: pixels and what belongs to them; how Pillow's images become one and back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locstyle.errors import PhotoError
from locstyle.photo import exif as exif_block
from locstyle.photo.carried import Carried
from locstyle.photo.named import of_exif, of_gamma
from locstyle.photo.png import Pixels

_AS_IS = ("L", "LA", "RGB", "RGBA")
_EXPANDED = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB"}
_WITH_ALPHA = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}  # when a colour is transparent


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels as they should be seen and what belongs to them; the values of `Photo`, no more.

    Attributes:
        pixels: [H, W, C] uint8 or uint16, C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
        icc: the colour profile; made from what the file says where it names its colours without.
        exif: a bare block (see `locstyle.photo.exif`), its orientation reset to 1.
        format: "PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF" or "HEIF".
        carried: what else the file says.
        remarks: what was changed in reading it, in words.
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None
    format: str = "PNG"
    carried: Carried = field(default_factory=Carried)
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[2] in (2, 4)


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


def from_pil(image: Image.Image) -> Picture:
    """The picture a Pillow image holds; an EXIF orientation it still carries is applied."""
    return upright(image, Carried())


def upright(image: Image.Image, carried: Carried) -> Picture:
    """The picture of an opened file whose other words are known, turned as it says."""
    pixels, icc, remarks = colours_of(image, image.info.get("icc_profile") or None)
    if icc is None and not remarks:
        icc = _named(image)
    kind = {"MPO": "JPEG"}.get(image.format or "", image.format or "PNG")
    return replace(picture_of(pixels, icc, exif_of(image), kind, carried), remarks=remarks)


def _named(image: Image.Image) -> bytes | None:
    """The profile of an opened PNG's gamma and primaries."""
    gamma, places = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or not (isinstance(gamma, float) or isinstance(places, tuple)):
        return None
    return of_gamma(round((gamma or 0) * 100_000), list(places) if places else None)


def colours_of(
    image: Image.Image, icc: bytes | None
) -> tuple[Pixels, bytes | None, tuple[str, ...]]:
    """Pixels, their profile, and what was done to get them: CMYK and Lab are converted."""
    if image.mode in ("CMYK", "LAB"):
        from locstyle.photo import inks  # which needs torch, as most photos do not
    if image.mode == "CMYK":
        pixels, said = inks.from_cmyk(image, icc)
        return pixels, None, (said,)
    if image.mode == "LAB":
        codes = np.asarray(image)
        signed = codes[..., 1:].view(np.int8)
        lab = np.concatenate([codes[..., :1] * np.float32(100 / 255), signed], -1)
        return inks.from_lab(lab.astype(np.float32)), None, (inks.LAB,)
    return pixels_of(image), icc, ()


def picture_of(
    pixels: Pixels, icc: bytes | None, exif: bytes | None, kind: str, carried: Carried
) -> Picture:
    """A picture upright, by EXIF, or by XMP where EXIF says nothing."""
    block = exif_block.bare(exif)
    turn = exif_block.orientation(block)
    if not exif_block.says_orientation(block):
        turn = carried.orientation
    return Picture(
        turned(pixels, turn),
        icc or of_exif(block),
        exif_block.upright(block) if block else None,
        kind,
        carried.upright(),
    )


def exif_of(image: Image.Image) -> bytes | None:
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:  # ImageMagick's older PNGs
        with suppress(ValueError):
            return bytes.fromhex("".join(str(image.info["Raw profile type exif"]).split("\n")[3:]))
    return block if isinstance(block, bytes) else None


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels as they should be seen, for an EXIF orientation of 1-8."""
    seen: Pixels = pixels.transpose(1, 0, 2) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        seen = seen[::-1]
    if orientation in (2, 3, 6, 7):
        seen = seen[:, ::-1]
    return seen.copy(order="C")


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
