"""The first look at a photo says what the photo, opened, says; or nothing."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import locstyle as ls

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(mode: str = "RGB", size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Soft, and another at each end, so that it shows how it was turned."""
    y, x = np.mgrid[: size[1], : size[0]] / max(size)
    pixels = np.stack([255 * x, 255 * y, 128 + 90 * np.sin(9 * x)], -1)
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def written(path: Path, image: Image.Image, **more: object) -> Path:
    image.save(path, "JPEG", quality=95, **more)
    return path


def turned_by(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_it_agrees_with_the_photo(tmp_path: Path, mode: str, orientation: int) -> None:
    path = written(tmp_path / "a.jpg", scene(mode), exif=turned_by(orientation), icc_profile=SRGB)
    found, photo = ls.glance(path, 128), ls.Photo.open(path)
    assert found is not None
    assert (found.size, found.icc, found.sha256) == (photo.size, photo.icc, photo.sha256)
    assert photo.depth == 8 and not photo.has_alpha and photo.format == "JPEG"
    expected = photo.image.resize(found.image.size, Image.Resampling.BOX)
    apart = np.subtract(found.image, np.asarray(expected), dtype=np.float32)
    assert found.image.mode == expected.mode and np.abs(apart).mean() < 3


@pytest.mark.parametrize("width", [1, 7, 100, 101, 142, 150, 199, 200, 399, 1000, 1601, 3000])
def test_it_is_as_large_as_asked_or_nearly(tmp_path: Path, width: int) -> None:
    path = written(tmp_path / "a.jpg", scene(size=(width, max(1, width // 3))))
    found = ls.glance(path, 100)
    assert found is not None and found.size == (max(1, width // 3), width)
    assert min(width, 70) <= found.image.width <= 100
    height = round(found.image.width * max(1, width // 3) / width)
    assert abs(found.image.height - max(1, height)) <= 1


def test_what_takes_the_true_reader_is_left_to_it(tmp_path: Path) -> None:
    png, cmyk, cut = (tmp_path / name for name in ("a.png", "b.jpg", "c.jpg"))
    scene().save(png)
    written(cmyk, scene("CMYK"))
    data = io.BytesIO()
    scene().save(data, "JPEG")
    cut.write_bytes(data.getvalue()[:-400])
    turn = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    by_xmp = written(tmp_path / "d.jpg", scene(), xmp=turn)
    camera = Image.Exif()
    camera[0xA005] = {1: "R03"}
    adobe = written(tmp_path / "e.jpg", scene(), exif=camera)
    nothing = tmp_path / "f.jpg"
    nothing.write_bytes(b"")
    for path in (png, cmyk, cut, by_xmp, adobe, nothing, tmp_path, tmp_path / "nowhere.jpg"):
        assert ls.glance(path, 100) is None, path


def test_it_needs_neither_numpy_nor_torch(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", scene())
    code = (
        f"import sys, locstyle; assert locstyle.glance({str(path)!r}, 64); "
        "print(*{'numpy', 'cv2', 'torch'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
