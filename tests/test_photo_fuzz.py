"""Damaged picture files: an error of ours or a photo, soon, and never anything else.

By the thousand: python tests/test_photo_fuzz.py 200
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, features
from profiles import ADOBE, BROKEN, CMYK, GREY, ONE_WAY, P3, muted

from locstyle import PhotoError
from locstyle.photo import Photo, png

PIXELS = muted((24, 36))
XMP = b'<x:xmpmeta tiff:Orientation="6"/>'
SECONDS = 30.0


def seeds() -> Iterator[tuple[str, bytes]]:
    """Whole files of every format that is read, each with all it can carry."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Kamera AG", 6
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    said = {"exif": exif.tobytes(), "icc_profile": P3, "xmp": XMP}
    views = [Image.fromarray(muted((24, 36), seed)) for seed in range(2)]
    frames = [view.quantize() for view in views]
    for depth in (8, 16):
        pixels = PIXELS if depth == 8 else PIXELS.astype(np.uint16) * 257
        chunks = [(b"gAMA", bytes(4)), (b"cICP", bytes((12, 13, 0, 1))), (b"sBIT", bytes(3))]
        chunks += [png.profile_chunk(ADOBE), png.text_chunk("Author", "Anna")]
        yield f"{depth}.png", png.encode_png(pixels, chunks)
        tags = [(34675, 7, len(ONE_WAY), ONE_WAY, True), (700, 1, len(XMP), XMP, True)]
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric="rgb", extratags=tags, compression="zlib")
        yield f"{depth}.tif", file.getvalue()
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric="cielab")
        yield f"lab{depth}.tif", file.getvalue()
    yield "palette.png", _saved(frames[0], "PNG", transparency=3, **said)
    yield "a.jpg", _saved(Image.fromarray(PIXELS), "JPEG", comment="deer", dpi=(9, 9), **said)
    yield "grey.jpg", _saved(Image.fromarray(PIXELS[..., 0]), "JPEG", icc_profile=GREY)
    yield "cmyk.jpg", _saved(Image.new("CMYK", (36, 24), (9, 80, 90, 7)), "JPEG", icc_profile=CMYK)
    yield (
        "two.jpg",
        _saved(views[0], "MPO", save_all=True, append_images=views[1:]),
    )
    yield "a.webp", _saved(Image.fromarray(PIXELS), "WEBP", **said)
    yield "a.gif", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], comment="deer")
    for packed in ("tiff_lzw", "packbits", "jpeg"):
        yield f"{packed}.tif", _saved(Image.fromarray(PIXELS), "TIFF", compression=packed)
    if features.check("avif"):
        yield "a.avif", _saved(Image.fromarray(PIXELS), "AVIF", **said)


def _saved(image: Image.Image, kind: str, **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def damaged(data: bytes, dice: random.Random) -> bytes:
    """The file with a few bytes changed, cut out, doubled, moved, or its end missing."""
    result = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at, length = dice.randrange(len(result)), dice.choice((1, 1, 2, 4, 4, 64))
        kind = dice.randrange(6)
        if kind == 0:
            result[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            result[at : at + length] = dice.randbytes(length)
        elif kind == 2:
            result[at : at + 4] = dice.choice(
                (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
            )
        elif kind == 3 and len(result) > 200:
            del result[at : at + length]
        elif kind == 4:
            result[at:at] = result[at : at + length]
        elif len(result) > 200:
            del result[-dice.randrange(1, len(result) // 2) :]
    return bytes(result)


def _tried(path: Path) -> bool:
    """Whether a file opens, as far as its colours; fails for whatever is not ours, or slow."""
    start = time.monotonic()
    try:
        photo = Photo.open(path)
        photo.rgb()
        is_read = True
    except PhotoError as error:
        assert str(path) in str(error)
        is_read = False
    assert time.monotonic() - start < SECONDS
    return is_read


def _run(folder: Path, rounds: int) -> dict[str, int]:
    opened: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in seeds():
            dice = random.Random(name)
            path = folder / name
            path.write_bytes(data)
            assert _tried(path), name
            for _ in range(rounds):
                path.write_bytes(damaged(data, dice))
                opened[name] = opened.get(name, 0) + _tried(path)
    return opened


def test_damaged_pictures_end_in_an_error_of_ours_or_a_photo(tmp_path: Path) -> None:
    _run(tmp_path, 8)


@pytest.mark.parametrize("name", ["P3", "ONE_WAY", "CMYK", "GREY", *BROKEN])
def test_damaged_profiles_cost_no_photo(name: str) -> None:
    data = {"P3": P3, "ONE_WAY": ONE_WAY, "CMYK": CMYK, "GREY": GREY, **BROKEN}[name]
    dice = random.Random(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(8 if len(data) > 1 else 1):
            icc = damaged(data, dice) if len(data) > 1 else data
            for channels in (1, 3):
                photo = Photo(PIXELS[..., :channels].copy(), icc=icc)
                rgb = photo.rgb()
                assert bool(((rgb >= 0) & (rgb <= 1)).all()), "not a colour"
                if photo.space is not None:
                    assert bool(((photo.space.own(rgb) >= 0) & (photo.space.own(rgb) <= 1)).all())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = _run(Path(folder), int(sys.argv[1]))
    print(f"{int(sys.argv[1]) * len(found)} damaged files, opened all the same: {found}")
