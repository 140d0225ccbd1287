"""Formats people have: read for what they are, or refused by name; and no reader without end."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, features
from profiles import CMYK, P3, SRGB, lab_of, muted, opened

from locstyle import PhotoError
from locstyle.photo import Photo, png

PIXELS = muted((24, 36))


def test_an_animated_gif_gives_its_first_frame_and_says_so(tmp_path: Path) -> None:
    frames = [Image.fromarray(muted((24, 36), seed)).quantize() for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"deer")
    with pytest.warns(UserWarning, match=r"a\.gif: an animation of 3 frames, of which the first"):
        photo = Photo.open(tmp_path / "a.gif")
    assert np.array_equal(photo.pixels, np.asarray(frames[0].convert("RGB")))
    assert photo.format == "GIF" and photo.carried.text == {"Comment": "deer"}
    frames[0].save(tmp_path / "still.gif")
    assert np.array_equal(Photo.open(tmp_path / "still.gif").pixels, photo.pixels)


def test_a_gif_s_transparent_colour_is_transparent(tmp_path: Path) -> None:
    picture = Image.new("P", (6, 4), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.paste(0, (0, 0, 3, 4))
    picture.save(tmp_path / "a.gif", transparency=0)
    pixels = Photo.open(tmp_path / "a.gif").pixels
    assert pixels.shape == (4, 6, 4) and not pixels[:, :3, 3].any()
    assert (pixels[:, 3:] == (200, 100, 50, 255)).all()


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


@needs_avif
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_is_read_with_what_it_carries(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(PIXELS[..., 0]))
    image.save(tmp_path / "a.avif", quality=100, subsampling="4:4:4", icc_profile=P3)
    photo = Photo.open(tmp_path / "a.avif")
    assert photo.format == "AVIF" and photo.icc == P3
    assert np.abs(photo.pixels.astype(int) - np.asarray(image)).max() <= 4


@needs_avif
def test_avif_s_codes_name_its_colours(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4")
    plain = Photo.open(tmp_path / "a.avif")
    assert plain.space is None
    data = (tmp_path / "a.avif").read_bytes()
    at = data.index(b"colrnclx") + 8
    (tmp_path / "b.avif").write_bytes(data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :])
    wide = Photo.open(tmp_path / "b.avif")
    assert float((wide.rgb() - Photo(wide.pixels, icc=P3).rgb()).abs().max()) < 0.002
    (tmp_path / "c.avif").write_bytes(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
    with pytest.raises(PhotoError, match="high dynamic range"):
        Photo.open(tmp_path / "c.avif")


def test_heic_is_read_by_the_extra(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x010F] = "Kamera AG"
    file = heif.from_pillow(Image.fromarray(PIXELS))
    file.save(tmp_path / "a.heic", quality=100, chroma=444, exif=exif.tobytes(), icc_profile=P3)
    photo = Photo.open(tmp_path / "a.heic")
    assert photo.format == "HEIF" and photo.exif is not None and b"Kamera AG" in photo.exif
    assert np.abs(photo.pixels.astype(int) - PIXELS).max() <= 6


def test_heic_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(PhotoError, match=r"HEIC.*pip install 'pillow-heif"):
        Photo.open(tmp_path / "a.heic")


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_comes_through_its_profile(tmp_path: Path, name: str) -> None:
    inks = Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1] // 3]), "CMYK")
    inks.save(tmp_path / name, icc_profile=CMYK, quality=100, subsampling=0)
    with pytest.warns(UserWarning, match=f"{name}: CMYK colours, converted to sRGB by the file's"):
        photo = Photo.open(tmp_path / name)
    expected = ImageCms.profileToProfile(
        inks, opened(CMYK), opened(SRGB), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip
    assert np.abs(photo.pixels.astype(int) - np.asarray(expected)).max() <= (
        8 if "jpg" in name else 1
    )
    assert photo.icc is None and photo.space is None
    photo.save(tmp_path / "out.png")
    inks.save(tmp_path / name, icc_profile=b"broken", quality=100)
    with pytest.warns(UserWarning, match="without a profile that can be used.*rule of thumb"):
        Photo.open(tmp_path / name)
    with pytest.warns(UserWarning, match="the picture: CMYK colours without"):
        assert Photo.from_image(Image.new("CMYK", (4, 4))).pixels.shape == (4, 4, 3)


def test_deep_cmyk_is_read_too(tmp_path: Path) -> None:
    inks = np.dstack([PIXELS, PIXELS[..., :1] // 3])
    for name, deep in (("a.tif", False), ("b.tif", True)):
        pixels = inks.astype(np.uint16) * 257 if deep else inks
        tag = (34675, 7, len(CMYK), CMYK, True)
        tifffile.imwrite(tmp_path / name, pixels, photometric="separated", extratags=[tag])
    with pytest.warns(UserWarning, match="CMYK colours, converted"):
        low, high = (Photo.open(tmp_path / name).pixels for name in ("a.tif", "b.tif"))
    assert np.array_equal(low, high)


@pytest.mark.parametrize("kind", ["cielab 8", "cielab 16", "icclab 8", "icclab 16"])
def test_lab_tiffs_are_converted(tmp_path: Path, kind: str) -> None:
    photometric, bits = kind.split()
    codes = lab_of(Image.fromarray(PIXELS)).astype(np.uint8)  # a* and b* modulo 256
    if bits == "16":
        signed = codes[..., 1:].view(np.int8).astype(np.int16) * 256
        codes = np.dstack([codes[..., :1].astype(np.uint16) * 257, signed.view(np.uint16)])
    if photometric == "icclab":
        codes[..., 1:] ^= 1 << (int(bits) - 1)
    tifffile.imwrite(tmp_path / "a.tif", codes, photometric=photometric)
    with pytest.warns(UserWarning, match=r"a\.tif: Lab colours, converted to sRGB at 16 bit"):
        photo = Photo.open(tmp_path / "a.tif")
    assert photo.depth == 16
    assert np.abs(photo.pixels / 257 - PIXELS).max() < 5  # Lab of 8 bits is coarse
    assert np.abs(photo.pixels / 257 - PIXELS).mean() < 1


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("channels", "depth"), [(2, 8), (2, 16), (3, 8), (4, 8), (4, 16)])
def test_planes_are_read_as_they_are(
    tmp_path: Path, channels: int, depth: int, compression: str | None
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 1 << depth, (channels, 9, 14)).astype(f"uint{depth}")
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="separate",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression=compression,
    )
    assert np.array_equal(Photo.open(tmp_path / "a.tif").pixels, np.moveaxis(pixels, 0, -1))


REFUSED = {
    "a.jxl": (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
    "b.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    "a.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    "a.psd": (b"8BPS\0\1" + bytes(40), "a Photoshop document"),
    "a.xcf": (b"gimp xcf v011" + bytes(40), "a GIMP document"),
    "a.exr": (b"\x76\x2f\x31\x01" + bytes(40), "an OpenEXR picture"),
    "a.pdf": (b"%PDF-1.7\n", "a PDF"),
    "a.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "a.raf": (b"FUJIFILMCCD-RAW 0201", "a camera raw file"),
    "a.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera raw file"),
    "a.mp4": (b"\0\0\0\x18ftypisom\0\0\2\0", "a video"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_for_what_it_is(tmp_path: Path, name: str) -> None:
    data, message = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PhotoError, match=f"{message}.*export it as one of these"):
        Photo.open(tmp_path / name)


# Bounds


def directories(order: str, big: bool, *nexts: int) -> bytes:
    """A TIFF of empty directories, each pointing to the place of the next."""
    size, form = (16, ("Q", "Q")) if big else (6, ("I", "H"))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    return head + b"".join(
        struct.pack(order + form[1], 0) + struct.pack(order + form[0], len(head) + size * n)
        for n in nexts
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("nexts", [(0,), (1, 0), (1, 2, 1)])
def test_tiff_directories_in_a_circle_end(
    tmp_path: Path, order: str, big: bool, nexts: tuple[int, ...]
) -> None:
    (tmp_path / "a.tif").write_bytes(directories(order, big, *nexts))
    with pytest.raises(PhotoError, match="directories have no end"):
        Photo.open(tmp_path / "a.tif")


def test_many_directories_end_too(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(directories("<", False, *range(1, 5000), 0))
    with pytest.raises(PhotoError, match="directories have no end"):
        Photo.open(tmp_path / "a.tif")


def test_pictures_without_pixels_are_refused(tmp_path: Path) -> None:
    photo = Photo(PIXELS)
    photo.save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    for entry in range(2):  # width, height
        for value in (0, 1 << 30):
            broken = data.copy()
            struct.pack_into("<I", broken, at + 2 + 12 * entry + 8, value)
            (tmp_path / "b.tif").write_bytes(broken)
            with pytest.raises(PhotoError):
                Photo.open(tmp_path / "b.tif")


def test_text_that_unfolds_without_end_is_left_out(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(80 << 20), 9)
    (tmp_path / "a.png").write_bytes(png.encode_png(PIXELS, [(b"zTXt", b"bomb\0\0" + packed)]))
    photo = Photo.open(tmp_path / "a.png")
    assert not photo.carried.text and np.array_equal(photo.pixels, PIXELS)


def test_a_photo_of_one_pixel_is_read_and_written(tmp_path: Path) -> None:
    for suffix in (".png", ".tif", ".jpg", ".webp"):
        Photo(PIXELS[:1, :1]).save(tmp_path / f"a{suffix}")
        assert Photo.open(tmp_path / f"a{suffix}").size == (1, 1)
