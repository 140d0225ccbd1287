"""Photo: a picture file as the user gave it, and the one place where styled pixels enter it."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locstyle.errors import OutputError, PhotoError, did_you_mean
from locstyle.files import PHOTO_FORMATS, bounds, read_file, write_atomic
from locstyle.photo import boxes, png, read, write
from locstyle.photo import picture as pictures
from locstyle.photo.picture import Picture
from locstyle.photo.png import Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from locstyle.photo.canvas import Canvas
    from locstyle.photo.colour import Space

_BAND = 256  # rows converted and pasted at once, to bound memory
_WHOLE = slice(None)


class Patch(NamedTuple):
    """A styled part of a photo: [3, h, w] in sRGB and its weight [h, w], both in [0, 1], on the
    CPU in float32, with `corner` (x, y) in the photo."""

    corner: tuple[int, int]
    styled: Tensor
    weight: Tensor


@dataclass(frozen=True, eq=False)
class Photo(Picture):
    """A picture at its own depth, with alpha, colour profile and EXIF; orientation applied once.

    Pixels are the file's own, in its own colour profile, and stay so. `rgb`, `srgb` and `working`
    say what they mean: there, and only there, colours are converted.

    Attributes:
        pixels: [H, W, C] uint8 or uint16, not copied but made read-only; C = 1 grey,
            2 grey + alpha, 3 RGB, 4 RGBA.
        icc: the colour profile, byte for byte; made from what the file says where it names its
            colours without one (PNG's cICP or gAMA and cHRM, AVIF's codes, a camera's Adobe RGB).
        exif: a bare EXIF block; orientation reset and thumbnail unlinked, every other byte kept.
        format: "PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF" or "HEIF"; "PNG" for pictures from
            memory.
        carried: what else the file says: text, XMP, IPTC, resolution.
        path: the file it was opened from.
    """

    path: Path | None = None
    file_sha256: str | None = field(default=None, repr=False)  # None: not the content of a file

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)

    def __repr__(self) -> str:
        (height, width, channels), bits = self.pixels.shape, self.pixels.dtype.itemsize * 8
        name = f"{str(self.path)!r}, " if self.path else ""
        return f"Photo({name}{width} × {height}, {channels} channels of {bits} bit)"

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a PNG, JPEG, WebP, TIFF, GIF, AVIF or HEIC file, with or without alpha, 8 or 16 bit.

        Warns of what it had to change: CMYK and Lab are converted to sRGB, of an animated GIF the
        first frame is taken. HEIC needs the extra `heic`.

        Raises:
            PhotoError: missing, empty, truncated, too large, or of a kind that is not read.
        """
        source = Path(path)
        data = _read(source)
        try:
            picture = read.decode(data)
        except PhotoError as error:
            raise PhotoError(f"{source}: {error}") from error
        return cls._of(picture, path=source, file_sha256=hashlib.sha256(data).hexdigest())

    @classmethod
    def _of(cls, picture: Picture, **more: Any) -> Self:  # Any: the fields a Photo adds
        """A photo of a picture's values; what reading changed is said."""
        for remark in picture.remarks:
            warnings.warn(f"{more.get('path') or 'the picture'}: {remark}", stacklevel=3)
        same = {one.name: getattr(picture, one.name) for one in fields(Picture)}
        return cls(**same, **more)

    @classmethod
    def from_image(cls, image: Image.Image | NDArray[np.generic]) -> Self:
        """A photo from a Pillow image, or from an array [H, W] or [H, W, 1-4] of uint8 or uint16.

        The pixels are copied. A Pillow image's profile and EXIF are kept, and an orientation it
        still carries is applied.

        Raises:
            PhotoError: no pixels, or a mode, shape or type that is not read.
        """
        if isinstance(image, np.ndarray):
            return cls(_checked(image))
        if not isinstance(image, Image.Image):
            raise PhotoError(
                f"a {type(image).__name__} is not a picture; give a Pillow image or an array"
            )
        picture = pictures.from_pil(image)
        return cls._of(replace(picture, pixels=_checked(picture.pixels)))

    @property
    def depth(self) -> int:
        """Bits a channel: 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def sha256(self) -> str:
        """Digest of the source file; of shape, depth and pixels for a photo from memory."""
        if self.file_sha256 is not None:
            return self.file_sha256
        head = f"{self.pixels.shape} {self.pixels.dtype.name} ".encode()
        return hashlib.sha256(head + self.pixels.tobytes()).hexdigest()

    @cached_property
    def space(self) -> Space | None:
        """What the pixels mean; None for sRGB, which a photo without a profile is taken to be in.

        A profile that cannot be used warns, and counts as none.
        """
        if self.icc is None:
            return None
        from locstyle.photo.colour import space_of

        try:
            return space_of(self.icc, _colours(self.pixels).shape[2])
        except ValueError as error:
            warnings.warn(
                f"{self.path or 'the picture'}: its colour profile cannot be used ({error}); "
                "taken as sRGB",
                stacklevel=3,
            )
            return None

    @property
    def image(self) -> Image.Image:
        """The photo's own numbers at 8 bit, as a Pillow image of mode L, LA, RGB or RGBA."""
        return pictures.to_pil(self)

    @property
    def srgb(self) -> Image.Image:
        """What the photo shows: sRGB at 8 bit, as a Pillow image of mode L, LA, RGB or RGBA."""
        if self.space is None:
            plain = pictures.to_pil(self)
            plain.info.pop("icc_profile", None)
            return plain
        pixels = np.empty((*self.size, 4 if self.has_alpha else 3), np.uint8)
        for band in self._bands():
            colours = self.working(band).mul_(255).round_().byte()
            pixels[band, :, :3] = cv2.merge([*colours.numpy()])
            if self.has_alpha:
                pixels[band, :, 3:] = pictures.eight_bit(self.pixels[band, :, -1:])
        return Image.fromarray(pixels)

    def _repr_png_(self) -> bytes:
        preview, buffer = self.srgb, io.BytesIO()
        preview.thumbnail((768, 768))
        preview.save(buffer, "PNG")
        return buffer.getvalue()

    def rgb(self) -> Tensor:
        """Colours [3, H, W] float32 in [0, 1], in sRGB; grey repeated, alpha left out, not
        composited."""
        if self.space is None:
            return self.working()
        import torch

        return torch.cat([self.working(band) for band in self._bands()], dim=1)

    def working(self, rows: slice = _WHOLE, columns: slice = _WHOLE) -> Tensor:
        """A part of `rgb`: rows and columns of it, [3, h, w]."""
        import torch

        colours = _colours(self.pixels[rows, columns])
        if self.space is not None:
            return self.space.working(colours)
        values = torch.from_numpy(colours.astype(np.float32)) / _full(self.pixels)
        return values.permute(2, 0, 1).expand(3, -1, -1).contiguous()

    def _bands(self) -> Iterator[slice]:
        return (slice(top, top + _BAND) for top in range(0, len(self.pixels), _BAND))

    def on(self, canvas: Canvas) -> Tensor:
        """Colours as `rgb` of a canvas's window, at its working size: [3, height, width]."""
        rows, columns = boxes.slices(canvas.box)
        tops = range(rows.start, rows.stop, _BAND)
        return canvas.shrink_bands(
            self.working(slice(top, min(top + _BAND, rows.stop)), columns) for top in tops
        )

    def widened(self, other: Photo, rows: slice = _WHOLE) -> Pixels:
        """This photo's pixels with the channels of `other`: grey three times where that is RGB.

        What a comparison with the result of `pasted` needs.
        """
        has_colour, own = other.pixels.shape[2] >= 3, self.pixels[rows]
        return _as_rgb(own) if has_colour and own.shape[2] < 3 else own

    def pasted(self, styled: Tensor, weight: Tensor) -> Photo:
        """This photo with `styled` blended in; where weight is 0 every bit is this photo's own.

        Alpha, EXIF and profile are kept everywhere. A grey photo becomes RGB with three equal
        values, and its profile one that gives them their meaning; where there is no such profile,
        it is dropped with a warning.

        Args:
            styled: [3, H, W] in [0, 1] (clipped to it), in sRGB.
            weight: [H, W] in [0, 1].

        Raises:
            PhotoError: `styled` is not finite.
        """
        _check_paste(styled, weight, self.size)
        share, colours = weight.detach().cpu().float(), styled.detach().cpu().float()
        parts = ((band, _touched(share[band])) for band in self._bands())
        return self.patched(
            Patch((columns.start, rows.start), colours[:, rows, columns], share[rows, columns])
            for rows, columns in parts
            if columns.stop
        )

    def patched(self, parts: Iterable[Patch]) -> Photo:
        """This photo with one part after another blended in as by `pasted`; the rest is its own."""
        pixels, icc = _as_rgb(self.pixels), _rgb_profile(self.icc)
        for (x, y), styled, weight in parts:
            height, width = weight.shape
            place = pixels[y : y + height, x : x + width]
            for channel, colours in enumerate(self._own(styled)):  # alpha, after these, stays
                _blend(place[..., channel], colours.numpy(), weight.numpy())
        carried = self.carried if self.pixels.shape[2] >= 3 else self.carried.widened()
        return Photo(pixels, icc=icc, exif=self.exif, format=self.format, carried=carried)

    def _own(self, colours: Tensor) -> Tensor:
        """The photo's numbers [3, h, w] in [0, 1] for colours [3, h, w] in sRGB."""
        inside = colours.clamp(0, 1)
        return inside if self.space is None else self.space.own(inside)

    def save(self, path: str | os.PathLike[str], text: Mapping[str, str] | None = None) -> None:
        """Write the photo in the format of the path's ending, whole or not at all.

        PNG and TIFF keep depth, alpha, profile and EXIF. WebP is lossless and 8 bit; JPEG is 8 bit,
        quality 95, without colour subsampling, and refuses alpha. `text` is kept by PNG only. What
        the file was opened with and this format cannot hold is named in a warning.

        Raises:
            OutputError: unknown ending, alpha or size the format cannot hold, disk or permission;
                an old file of that name is intact.
        """
        write_atomic(path, self.encoded(path, text))

    def encoded(self, path: str | os.PathLike[str], text: Mapping[str, str] | None = None) -> bytes:
        """The bytes that `save` writes.

        Raises:
            OutputError: as `save`, but for the disk and permission.
        """
        target = Path(path)
        if target.suffix.lower() not in PHOTO_FORMATS:
            hint = did_you_mean(target.suffix.lower(), PHOTO_FORMATS)
            raise OutputError(f"{target}: cannot write {target.suffix!r} pictures; {hint}")
        return write.encode(self, target, text or {})


def read_text(path: str | os.PathLike[str], key: str) -> str | None:
    """The text stored under `key` in a PNG file; None when there is none or it is no PNG.

    Raises:
        PhotoError: the file cannot be read, or is a truncated PNG.
    """
    data = _read(Path(path))
    if not data.startswith(png.SIGNATURE):
        return None
    try:
        return png.read_text_chunks(png.read_chunks(data)).get(key)
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from error


def read_indices(path: str | os.PathLike[str]) -> NDArray[np.uint8] | None:
    """The palette's indices [H, W] of a picture that a Photo can be opened from, upright; None for
    one without a palette."""
    return read.indices(_read(Path(path)))


def _read(path: Path) -> bytes:
    try:
        data = read_file(path, bounds.PHOTO_BYTES)
    except OSError as error:
        raise PhotoError(f"{path}: {error.strerror or error}") from error
    if not data:
        raise PhotoError(f"{path}: the file is empty; copy or export it again")
    return data


def _checked(array: NDArray[np.generic]) -> Pixels:
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise PhotoError(f"an array of shape {array.shape}; give [H, W] or [H, W, 1-4]")
    if 0 in pixels.shape:
        raise PhotoError(f"a picture of {pixels.shape[1]} × {pixels.shape[0]} pixels holds nothing")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise PhotoError(
            f"an array of {pixels.dtype}; give uint8 (0-255) or uint16 (0-65535), e.g. "
            "(array * 255).round().astype('uint8') for values in [0, 1]"
        )
    return np.array(pixels, order="C")


def _full(pixels: Pixels) -> float:
    return float(np.iinfo(pixels.dtype).max)


def _colours(pixels: Pixels) -> Pixels:
    return pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]


def _as_rgb(pixels: Pixels) -> Pixels:
    """A copy of the pixels with three colour channels, alpha kept."""
    channels = {1: [0, 0, 0], 2: [0, 0, 0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[pixels.shape[2]]
    return pixels[..., channels]


def _rgb_profile(icc: bytes | None) -> bytes | None:
    if icc is None or icc[16:20] != b"GRAY":
        return icc
    from locstyle.photo.colour import grey_as_rgb

    wider = grey_as_rgb(icc)
    if wider is None:
        warnings.warn("the photo's profile is for grey; the coloured result has none", stacklevel=4)
    return wider


def _touched(share: Tensor) -> slice:
    """The columns of share [h, W] between which all that is not 0 lies."""
    found = (share > 0).any(0).nonzero()
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _blend(pixels: Pixels, colours: NDArray[np.float32], share: NDArray[np.float32]) -> None:
    """Write `colours` [h, w] into the pixels [h, w] of one channel where share is above 0."""
    own = pixels.astype(np.float32)
    blend = own + (colours * _full(pixels) - own) * share
    np.copyto(pixels, np.rint(blend).astype(pixels.dtype), where=share > 0)


def _check_paste(styled: Tensor, weight: Tensor, size: tuple[int, int]) -> None:
    if tuple(styled.shape) != (3, *size) or tuple(weight.shape) != size:
        raise ValueError(
            f"pasted: styled {tuple(styled.shape)} and weight {tuple(weight.shape)} "
            f"for a photo of {size} (height, width)"
        )
    if not bool(((weight >= 0) & (weight <= 1)).all()):
        raise ValueError("pasted: weights lie in [0, 1]")
    wrong = int((~styled.isfinite()).sum())
    if wrong:
        raise PhotoError(
            f"the styled picture holds {wrong} values that are not finite; nothing was pasted"
        )
