"""Masks from files of many kinds: pictures, alpha, maps of regions, arrays, segments, scribbles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError, PhotoError
from locstyle.errors import shown as spelled
from locstyle.masks import Mask, check_size
from locstyle.photo import Photo, read_indices
from locstyle.segments.arrays import read_header, read_layer
from locstyle.segments.file import read_segment_file

_SHOWN = 8  # colours or numbers an error lists
_DIGITS = 20  # of the largest number that an array holds
_FULL, _NONE = 200, 55  # of 255: how bright or dark a stroke's channels must be
_OPAQUE = 128  # of 255: alpha from which a scribble's pixel counts

StrPath = str | os.PathLike[str]


def open_mask(
    path: StrPath,
    size: tuple[int, int],
    *,
    pick: str | None = None,
    photo: str | None = None,
    where: str = "mask",
) -> Mask:
    """The mask a file holds, for a photo (height, width): a picture, `.npy`, or `.json`.

    Args:
        pick: which of several: a number or label of a `.json`, a label or index of a `.npy`.
        photo: the photo's file name, to choose in a COCO file with several images.

    Raises:
        MaskError: unreadable, of another size, covering nothing, or no such `pick`.
    """
    suffix = Path(path).suffix.lower()
    shown = f"{where}: {Path(path).name!r}"
    if suffix == ".json":
        numbered = read_segment_file(path, size, photo=photo, where=where)
        if pick is None and len(numbered.numbered) > 1:
            raise MaskError(
                f"{shown}: holds {len(numbered.numbered)} segments; say which by number or label, "
                f"as {Path(path).name}#{min(numbered.numbered)}"
            )
        first = str(min(numbered.numbered))
        return numbered.pick(first if pick is None else pick, where=shown).mask
    if suffix == ".npy":
        return _from_array(Path(path), size, pick, shown)
    if pick is not None:
        raise MaskError(
            f"{shown}: is one mask, so {'#' + pick!r} picks nothing; of a picture of many regions "
            f"use map:{Path(path).name}#{pick}"
        )
    return Mask.open(path, size, where=where)


def open_alpha(path: StrPath, size: tuple[int, int], *, where: str = "mask") -> Mask:
    """What a picture file shows, by its alpha channel; colours are not looked at.

    Raises:
        MaskError: unreadable, of another size, without alpha, or transparent all over.
    """
    pixels, shown = _pixels(path, size, where)
    if pixels.shape[2] not in (2, 4):
        raise MaskError(f"{shown}: has no alpha channel; save it with transparency, as a PNG")
    alpha = pixels[..., -1]
    if not alpha.any():
        raise MaskError(f"{shown}: is transparent all over")
    return Mask.from_image(alpha / np.float32(np.iinfo(alpha.dtype).max), where=shown)


def open_map(path: StrPath, size: tuple[int, int], key: str | int, *, where: str = "mask") -> Mask:
    """One region of a picture that paints each region in its own colour, or numbers them.

    Args:
        key: "#rrggbb", or a number: the palette's index, or the value of a grey picture.

    Raises:
        MaskError: unreadable, of another size, or without that colour; lists those it has.
    """
    shown = f"{where}: {Path(path).name!r}"
    if isinstance(key, int):
        numbers = _numbers(path, size, where)
        return _only(numbers, key, shown, lambda value: str(value))
    wanted = key.removeprefix("#")
    if len(wanted) != 6 or not all(c in "0123456789abcdefABCDEF" for c in wanted):
        raise MaskError(f"{shown}: {key!r} is no colour; give #rrggbb or a number")
    pixels, shown = _pixels(path, size, where)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, -1)
    packed = (colours.astype(np.int32) * [65536, 256, 1]).sum(-1)
    if pixels.shape[2] in (2, 4):
        packed[pixels[..., -1] == 0] = -1
    return _only(packed, int(wanted, 16), shown, lambda value: f"#{value:06x}")


def open_scribble(
    path: StrPath, size: tuple[int, int], *, where: str = "scribble"
) -> NDArray[np.int8]:
    """Strokes [H, W]: 1 where white or green, -1 where black or red, 0 elsewhere.

    Transparent, grey and other pixels are unknown, so strokes may be painted on a copy of a grey
    photo or on a transparent layer.

    Raises:
        MaskError: unreadable, of another size, without a stroke inside, or leaving nothing
            unknown.
    """
    pixels, shown = _pixels(path, size, where)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, -1)
    full, none = colours >= _FULL, colours <= _NONE
    red, green, blue = range(3)
    marks = np.zeros(size, np.int8)
    marks[full.all(-1) | (full[..., green] & none[..., red] & none[..., blue])] = 1
    marks[none.all(-1) | (full[..., red] & none[..., green] & none[..., blue])] = -1
    if pixels.shape[2] in (2, 4):
        marks[pixels[..., -1] < _OPAQUE] = 0
    if not (marks > 0).any():
        raise MaskError(f"{shown}: no stroke inside; paint some of the object white or green")
    if marks.all():
        raise MaskError(
            f"{shown}: every pixel is marked, so it is a mask; use it as one (file:…), or leave "
            "what is unknown transparent or grey"
        )
    return marks


def _pixels(path: StrPath, size: tuple[int, int], where: str) -> tuple[NDArray[Any], str]:
    shown = f"{where}: {Path(path).name!r}"
    try:
        pixels: NDArray[Any] = Photo.open(path).pixels
    except PhotoError as error:
        raise MaskError(f"{where}: {error}") from error
    check_size(pixels.shape[:2], size, shown)
    return pixels, shown


def _numbers(path: StrPath, size: tuple[int, int], where: str) -> NDArray[Any]:
    """A picture's palette indices or grey values, EXIF orientation applied."""
    pixels, shown = _pixels(path, size, where)  # checks everything a photo's reading checks
    try:  # of the file as it is now, which may be another than a moment ago
        indices = read_indices(path)
    except (PhotoError, OSError, ValueError, SyntaxError) as error:
        raise MaskError(f"{shown}: cannot be read a second time ({error})") from error
    if indices is not None:
        check_size(indices.shape, size, shown)
        return indices
    if pixels.shape[2] > 2:
        raise MaskError(f"{shown}: has colours, not numbers; name a region as #rrggbb")
    return pixels[..., 0]


def _only(values: NDArray[Any], wanted: int, shown: str, spell: Any) -> Mask:
    inside = values == wanted
    if inside.any():
        return Mask.from_image(inside, where=shown)
    numbers = values[(values >= 0) & np.isfinite(values)]
    found, counts = np.unique(numbers, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    listed = ", ".join(f"{spell(int(found[i]))} ({counts[i] / values.size:.1%})" for i in order)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    smudged = "; save maps as PNG, JPEG smudges their colours" if len(found) > 256 else ""
    raise MaskError(
        f"{shown}: nothing is {spell(wanted)}; it has {listed or 'no number'}{more}{smudged}"
    )


def _from_array(path: Path, size: tuple[int, int], pick: str | None, shown: str) -> Mask:
    """A mask from an array: shares [H, W], labels [H, W], or a stack of masks [N, H, W]."""
    header = read_header(path, shown)
    if len(header.shape) == 3 and header.shape[1:] == size:
        number = _layer(header.layers, pick, shown)
        return Mask.from_image(_as_mask(read_layer(path, header, number, shown)), where=shown)
    if len(header.shape) != 2:
        raise MaskError(
            f"{shown}: an array of shape {spelled(header.shape)}; give [H, W] or [N, H, W]"
        )
    check_size(header.shape, size, shown)
    array = read_layer(path, header, 0, shown)
    if pick is not None:
        return _only(array, _whole(pick, shown), shown, str)
    if array.dtype.kind in "iu" and array.size and array.max() > 1 and array.dtype != np.uint8:
        raise MaskError(
            f"{shown}: an array of {array.dtype} with values up to {array.max()} is a map of "
            f"labels; say which, as {path.name}#{array.max()}"
        )
    return Mask.from_image(_as_mask(array), where=shown)


def _layer(layers: int, pick: str | None, shown: str) -> int:
    """Which of so many masks, from 0."""
    number = 1 if pick is None and layers == 1 else pick and _whole(pick, shown)
    if not number or not 1 <= number <= layers:
        raise MaskError(f"{shown}: holds {layers} masks; say which, as #1 to #{layers}")
    return number - 1


def _as_mask(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers of 0 and 1 alone are a mask, too, in arrays."""
    zero_or_one = array.dtype.kind in "iu" and bool(((array == 0) | (array == 1)).all())
    return array.astype(bool) if zero_or_one else array


def _whole(pick: str, shown: str) -> int:
    if not pick.isdecimal() or len(pick) > _DIGITS:
        raise MaskError(f"{shown}: {'#' + pick!r} is no number, and arrays have no other names")
    return int(pick)
