"""Photos as photographers have them: formats, depths, channels, orientations, and bad files."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, ImageOps
from PIL.TiffImagePlugin import IFDRational

from locstyle.errors import PhotoError
from locstyle.files import bounds
from locstyle.photo import Photo, png, read_text
from locstyle.photo import exif as exif_block
from locstyle.photo.picture import Picture
from locstyle.photo.tiff_writer import encode_tiff

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = (".png", ".tif", ".tiff")
DEEP = [(depth, channels) for depth in (8, 16) for channels in (1, 2, 3, 4)]


def noise(height: int, width: int, channels: int, depth: int = 8, seed: int = 0) -> np.ndarray:
    kind = np.uint8 if depth == 8 else np.uint16
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**depth, (height, width, channels), dtype=kind)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 120 + 0 * x], -1).astype(np.uint8)


def exif(orientation: int = 1, **more: Any) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = "Kamera AG"
    block.get_ifd(exif_block.EXIF_IFD).update(
        {0x9003: "2024:05:06 07:08:09", 0x829A: IFDRational(1, 250)}
    )
    block.get_ifd(exif_block.GPS_IFD).update({1: "N", 2: (47.0, 22.0, 10.0)})
    for tag, value in more.items():
        block[int(tag[1:], 16)] = value
    return block.tobytes()


def camera_facts(block: bytes | None) -> tuple[Any, ...]:
    read = Image.Exif()
    read.load(exif_block.PREFIX + (block or b""))
    inner, gps = read.get_ifd(exif_block.EXIF_IFD), read.get_ifd(exif_block.GPS_IFD)
    return read.get(0x010F), inner.get(0x9003), inner.get(0x829A), gps.get(1), gps.get(2)


FACTS = ("Kamera AG", "2024:05:06 07:08:09", 1 / 250, "N", (47.0, 22.0, 10.0))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize(("depth", "channels"), DEEP)
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (300, 5)])
def test_saving_and_opening_gives_every_bit_back(
    tmp_path: Path, suffix: str, depth: int, channels: int, size: tuple[int, int]
) -> None:
    pixels = noise(*size, channels, depth)
    photo = Photo(pixels, icc=SRGB, exif=exif_block.bare(exif()))
    photo.save(tmp_path / f"a{suffix}")
    again = Photo.open(tmp_path / f"a{suffix}")
    assert again.pixels.dtype == pixels.dtype
    assert np.array_equal(again.pixels, pixels)
    assert again.icc == SRGB
    assert camera_facts(again.exif) == FACTS
    assert again.depth == depth and again.size == size and again.has_alpha == (channels in (2, 4))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_webp_is_lossless_even_under_transparency(tmp_path: Path, channels: int) -> None:
    pixels = noise(9, 14, channels)
    if channels in (2, 4):
        pixels[:4, :, -1] = 0
    Photo(pixels, icc=SRGB, exif=exif_block.bare(exif())).save(tmp_path / "a.webp")
    again = Photo.open(tmp_path / "a.webp")
    wide = pixels if channels >= 3 else pixels[..., [0, 0, 0, 1][: channels + 2]]
    assert np.array_equal(again.pixels, wide)
    assert again.icc == SRGB and camera_facts(again.exif) == FACTS and again.format == "WEBP"


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_profile_exif_and_colours_at_full_resolution(
    tmp_path: Path, channels: int
) -> None:
    pixels = smooth(40, 60)[..., :channels]
    Photo(pixels, icc=SRGB, exif=exif_block.bare(exif())).save(tmp_path / "a.jpg")
    again = Photo.open(tmp_path / "a.jpg")
    assert again.pixels.shape == pixels.shape
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 6
    assert again.icc == SRGB and camera_facts(again.exif) == FACTS
    with Image.open(tmp_path / "a.jpg") as image:
        if channels == 3:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_deep_photos_are_rounded_to_eight_bits_for_jpeg_and_webp(tmp_path: Path) -> None:
    pixels = (smooth(8, 8).astype(np.uint16) * 257) ^ 3
    for name in ("a.webp", "a.jpg"):
        with pytest.warns(UserWarning, match=f"{name}: 16 bits a channel became 8"):
            Photo(pixels).save(tmp_path / name)
    assert np.array_equal(Photo.open(tmp_path / "a.webp").pixels, smooth(8, 8))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 600), st.sampled_from(DEEP), st.integers(0, 9))
def test_other_readers_agree_about_our_png_and_tiff(
    width: int, height: int, kind: tuple[int, int], seed: int
) -> None:
    depth, channels = kind
    pixels = noise(height, width, channels, depth, seed)
    if seed % 2:  # runs, so that every filter gets chosen
        pixels = np.cumsum(pixels // 100, axis=seed % 3 % 2, dtype=pixels.dtype)
    coded = png.encode_png(pixels)
    tagged = encode_tiff(Picture(pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(tifffile.imread(io.BytesIO(tagged)).reshape(pixels.shape), pixels)
        if depth == 8:
            for data in (coded, tagged):
                with Image.open(io.BytesIO(data)) as image:
                    assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
        else:
            order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
            seen = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(seen.reshape(height, width, -1)[..., order], pixels)


def test_sixteen_bit_files_of_other_programs_open(tmp_path: Path) -> None:
    pixels = noise(20, 30, 3, 16)
    cv2.imwrite(str(tmp_path / "lzw.tif"), pixels[..., ::-1])
    tifffile.imwrite(tmp_path / "plain.tif", pixels, photometric="rgb", byteorder=">")
    tifffile.imwrite(
        tmp_path / "planes.tif",
        np.moveaxis(pixels, -1, 0),
        photometric="rgb",
        planarconfig="separate",
        compression="zlib",
        predictor=True,
        tile=(16, 16),
    )
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    for name in ("lzw.tif", "plain.tif", "planes.tif", "a.png"):
        assert np.array_equal(Photo.open(tmp_path / name).pixels, pixels), name
    grey = noise(20, 30, 1, 16)
    cv2.imwrite(str(tmp_path / "grey.tif"), grey)
    assert np.array_equal(Photo.open(tmp_path / "grey.tif").pixels, grey)
    tifffile.imwrite(tmp_path / "white.tif", grey[..., 0], photometric="miniswhite")
    assert np.array_equal(Photo.open(tmp_path / "white.tif").pixels, 65535 - grey)


def test_premultiplied_tiffs_become_straight(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), np.uint16)
    pixels[0, 0] = (1000, 2000, 3000, 32768)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert tuple(Photo.open(tmp_path / "a.tif").pixels[0, 0]) == (2000, 4000, 6000, 32768)


def test_an_unnamed_fourth_channel_is_kept_as_alpha(tmp_path: Path) -> None:
    pixels = noise(5, 6, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(Photo.open(tmp_path / "a.tif").pixels, pixels)


def test_palettes_and_transparent_colours_are_expanded(tmp_path: Path) -> None:
    palette = Image.frombytes("P", (3, 2), bytes([0, 1, 2, 0, 1, 2]))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    assert Photo.open(tmp_path / "p.png").pixels.shape == (2, 3, 3)
    palette.save(tmp_path / "pt.png", transparency=bytes([255, 128, 0]))
    pixels = Photo.open(tmp_path / "pt.png").pixels
    assert [tuple(p) for p in pixels[0]] == [(255, 0, 0, 255), (0, 255, 0, 128), (0, 0, 255, 0)]
    rgb = noise(4, 5, 3)
    Image.fromarray(rgb).save(tmp_path / "rgb.png", transparency=tuple(map(int, rgb[1, 1])))
    opened = Photo.open(tmp_path / "rgb.png").pixels
    assert np.array_equal(opened[..., :3], rgb)
    assert opened[1, 1, 3] == 0 and opened[0, 0, 3] == 255
    grey = noise(4, 5, 1)
    Image.fromarray(grey[..., 0]).save(tmp_path / "l.png", transparency=int(grey[1, 1, 0]))
    opened = Photo.open(tmp_path / "l.png").pixels
    assert opened.shape[2] == 2 and opened[1, 1, 1] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_at_sixteen_bits(tmp_path: Path, channels: int) -> None:
    pixels = noise(6, 7, channels, 16)
    key = pixels[2, 3].astype(">u2").tobytes()
    (tmp_path / "a.png").write_bytes(png.encode_png(pixels, [(b"tRNS", key)]))
    opened = Photo.open(tmp_path / "a.png").pixels
    assert np.array_equal(opened[..., :-1], pixels)
    assert opened[2, 3, -1] == 0 and opened[0, 0, -1] == 65535


def test_bilevel_pictures_become_grey(tmp_path: Path) -> None:
    Image.new("1", (4, 3), 1).save(tmp_path / "a.png")
    assert Photo.open(tmp_path / "a.png").pixels.tolist() == [[[255]] * 4] * 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    image = Image.fromarray(smooth(24, 40))
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    block = exif(orientation)
    if suffix == ".tif":
        tags = Image.Exif()
        tags.load(block)
        image.save(path, exif=tags)
    else:
        image.save(path, exif=block, **options)
    stored = Image.open(path)
    expected = np.asarray(ImageOps.exif_transpose(stored))
    photo = Photo.open(path)
    assert np.array_equal(photo.pixels, expected)
    assert photo.size == ((40, 24) if orientation >= 5 else (24, 40))
    assert exif_block.orientation(photo.exif) == 1
    assert camera_facts(photo.exif) == FACTS
    photo.save(tmp_path / f"b{suffix}")
    again = Photo.open(tmp_path / f"b{suffix}")
    assert again.size == photo.size
    if suffix != ".jpg":
        assert np.array_equal(again.pixels, photo.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "lzw"])
def test_orientation_is_applied_once_at_sixteen_bits(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    pixels = noise(5, 8, 3, 16)
    path = tmp_path / "a"
    if kind == "png":
        block = exif_block.bare(exif(orientation))
        path.write_bytes(png.encode_png(pixels, [(b"eXIf", block)]))
    elif kind == "tiff":
        tag = (274, 3, 1, orientation, True)
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[tag])
    else:
        data = bytearray(cv2.imencode(".tif", pixels[..., ::-1])[1].tobytes())
        _add_orientation(data, orientation)
        path.write_bytes(data)
    low = Image.fromarray((pixels // 257).astype(np.uint8))
    low.info["exif"] = exif(orientation)
    expected = np.asarray(ImageOps.exif_transpose(low))
    assert np.array_equal(Photo.open(path).pixels // 257, expected)


def _add_orientation(data: bytearray, orientation: int) -> None:
    """Append a first directory with an orientation to a little-endian TIFF."""
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    fields = [bytes(data[start + 2 + 12 * i : start + 14 + 12 * i]) for i in range(count)]
    fields = [f for f in fields if struct.unpack_from("<H", f)[0] != 274]
    fields.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    fields.sort(key=lambda f: struct.unpack_from("<H", f)[0])
    data.extend(bytes(len(data) % 2))
    struct.pack_into("<I", data, 4, len(data))
    data.extend(struct.pack("<H", len(fields)) + b"".join(fields) + bytes(4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation: int) -> None:
    image = Image.fromarray(noise(3, 5, 3))
    image.info["exif"] = exif(orientation)
    photo = Photo.from_image(image)
    assert np.array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(image)))


def test_resetting_the_orientation_changes_nothing_else() -> None:
    for order in ("II", "MM"):
        block = Image.Exif()
        block.endian = "<" if order == "II" else ">"
        block[0x0112], block[0x010F] = 6, "Kamera AG"
        block.get_ifd(exif_block.EXIF_IFD)[0x927C] = b"maker note with offsets" * 3
        raw = exif_block.bare(block.tobytes())
        assert raw is not None
        changed = exif_block.upright(raw)
        assert exif_block.orientation(raw) == 6 and exif_block.orientation(changed) == 1
        assert sum(a != b for a, b in zip(raw, changed, strict=True)) == 1


@pytest.mark.parametrize("block", [b"", b"II", b"garbage garbage", b"II*\0\xff\xff\xff\xff"])
def test_broken_exif_does_not_cost_the_photo(tmp_path: Path, block: bytes) -> None:
    assert exif_block.orientation(block) == 1
    assert exif_block.upright(block) == block
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.jpg", exif=exif_block.PREFIX + block)
    photo = Photo.open(tmp_path / "a.jpg")
    photo.save(tmp_path / "b.png")
    if block:
        with pytest.warns(UserWarning, match="EXIF block is broken"):
            photo.save(tmp_path / "b.tif")
        assert np.array_equal(Photo.open(tmp_path / "b.tif").pixels, photo.pixels)


def test_exif_too_long_for_jpeg_is_left_out_aloud(tmp_path: Path) -> None:
    photo = Photo(smooth(4, 4), exif=exif_block.bare(exif(x010E="x" * 70000)))
    with pytest.warns(UserWarning, match=r"a\.jpg: not carried over: 70\d\d\d bytes of EXIF"):
        photo.save(tmp_path / "a.jpg")
    photo.save(tmp_path / "a.png")
    assert Photo.open(tmp_path / "a.png").exif == photo.exif


def test_tiff_keeps_the_exif_block_byte_for_byte(tmp_path: Path) -> None:
    block = exif_block.bare(exif())
    Photo(noise(5, 5, 3), exif=block).save(tmp_path / "a.tif")
    assert block is not None
    assert (tmp_path / "a.tif").read_bytes()[8 : len(block)] == block[8:]


def test_a_camera_s_multi_picture_jpeg_opens_as_its_first_picture(tmp_path: Path) -> None:
    first, second = Image.fromarray(smooth(16, 24)), Image.fromarray(smooth(8, 8))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    photo = Photo.open(tmp_path / "a.jpg")
    assert photo.size == (16, 24) and photo.format == "JPEG"


@pytest.mark.parametrize("depth", [8, 16])
def test_text_is_kept_in_png(tmp_path: Path, depth: int) -> None:
    text = '{"prompt": "ein Reh, 鹿, ünï"}' * 100
    Photo(noise(4, 4, 3, depth)).save(tmp_path / "a.png", text={"locstyle": text})
    assert read_text(tmp_path / "a.png", "locstyle") == text
    assert read_text(tmp_path / "a.png", "other") is None
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["locstyle"] == text


def test_text_of_other_writers_is_read(tmp_path: Path) -> None:
    start = png.encode_png(noise(2, 2, 1))
    body = b"packed\0\0" + zlib.compress(b"folded")
    unicode = b"uni\0\x01\0de\0\0" + zlib.compress("öß".encode())
    broken = b"bad\0\0" + b"not zlib"
    texts = [(b"tEXt", b"plain\0caf\xe9"), (b"zTXt", body), (b"iTXt", unicode), (b"zTXt", broken)]
    data = start[:-12] + b"".join(chunk(*t) for t in texts) + start[-12:]
    (tmp_path / "a.png").write_bytes(data)
    found = [read_text(tmp_path / "a.png", k) for k in ("plain", "packed", "uni", "bad")]
    assert found == ["café", "folded", "öß", None]
    Photo(smooth(4, 4)).save(tmp_path / "a.jpg", text={"locstyle": "{}"})
    assert read_text(tmp_path / "a.jpg", "locstyle") is None


def test_an_unfolding_text_bomb_is_not_read(tmp_path: Path) -> None:
    start = png.encode_png(noise(2, 2, 1))
    bomb = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(1 << 27)))
    (tmp_path / "a.png").write_bytes(start[:-12] + bomb + start[-12:])
    assert read_text(tmp_path / "a.png", "bomb") is None


def stored(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / kind
    if kind == "lzw16.tif":
        cv2.imwrite(str(path), noise(60, 80, 3, 16))
    elif kind == "plain16.tif":
        tifffile.imwrite(path, noise(60, 80, 3, 16), photometric="rgb", metadata=None)
    elif kind == "pillow.tif":
        Image.fromarray(noise(60, 80, 3)).save(path, compression="tiff_lzw")
    else:
        depth = 16 if "16" in kind else 8
        Photo(noise(60, 80, 3, depth)).save(path)
    return path


FILES = ("a.png", "a16.png", "a.jpg", "a.webp", "a.tif", "a16.tif")
OTHERS = ("lzw16.tif", "plain16.tif", "pillow.tif")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("kind", FILES + OTHERS)
def test_truncated_files_raise(tmp_path: Path, kind: str, share: float) -> None:
    path = stored(tmp_path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: max(1, int(len(data) * share))])
    with pytest.raises(PhotoError, match=kind):
        Photo.open(path)


@pytest.mark.parametrize("kind", FILES + OTHERS)
def test_truncated_files_raise_whatever_another_library_switched_on(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = stored(tmp_path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(PhotoError):
        Photo.open(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_a_png_with_a_flipped_bit_raises(tmp_path: Path) -> None:
    for kind in ("a.png", "a16.png"):
        path = stored(tmp_path, kind)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(PhotoError, match="damaged"):
            Photo.open(path)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 10**6), st.binary(min_size=1, max_size=20))
def test_damaged_files_open_or_raise_a_photo_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, place: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / kind
    Photo(smooth(16, 24) if "16" not in kind else noise(16, 24, 3, 16)).save(path)
    data = bytearray(path.read_bytes())
    at = place % len(data)
    data[at : at + len(garbage)] = garbage
    path.write_bytes(data)
    try:
        Photo.open(path)
    except PhotoError as error:
        assert str(path) in str(error)


def test_files_that_are_no_photos(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Image.new("RGB", (4, 4)).save(tmp_path / "a.bmp")
    for name, message in {
        "empty.png": "the file is empty",
        "text.jpg": "not a picture that can be read; PNG, JPEG, WebP, TIFF, GIF, AVIF and HEIC",
        "phone.heic": "HEIC.*export it|cannot be read",
        "a.bmp": "a Windows bitmap; .*: export it as one of these",
        "missing.png": "no such file",
        ".": "is a folder",
    }.items():
        with pytest.raises(PhotoError, match=message):
            Photo.open(tmp_path / name)
        if name not in ("text.jpg", "phone.heic", "a.bmp"):
            with pytest.raises(PhotoError, match=message):
                read_text(tmp_path / name, "locstyle")


def test_other_colours_say_what_to_do(tmp_path: Path) -> None:
    Image.new("F", (4, 4)).save(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((4, 4, 3), np.float32), photometric="rgb")
    tifffile.imwrite(
        tmp_path / "five.tif", noise(8, 9, 5, 16), photometric="rgb", planarconfig="contig"
    )
    tifffile.imwrite(
        tmp_path / "five8.tif", noise(8, 9, 5), photometric="rgb", planarconfig="contig"
    )
    for name, message in {
        "a.tif": "32 bits float a channel; save it with 8 or 16 bits",
        "f.tif": "32 bits float a channel; save it with 8 or 16 bits",
        "five.tif": "5 channels.*save it as grey or RGB",
        "five8.tif": "5 channels.*save it as grey or RGB",
    }.items():
        with pytest.raises(PhotoError, match=message):
            Photo.open(tmp_path / name)


def test_animations_pages_and_raw_files_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, 3, seed=i)) for i in range(3)]
    for name in ("a.png", "a.webp", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(PhotoError, match=r"3 (frames|pages); save the one you want"):
            Photo.open(tmp_path / name)
    tifffile.imwrite(tmp_path / "raw.tif", noise(8, 8, 3), photometric="rgb", subfiletype=1)
    with pytest.raises(PhotoError, match="camera raw file; develop it"):
        Photo.open(tmp_path / "raw.tif")


def test_a_tiff_with_a_small_preview_page_opens(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(16, 16, 3), photometric="rgb", metadata=None)
        file.write(noise(4, 4, 3), photometric="rgb", metadata=None, subfiletype=1)
    assert Photo.open(tmp_path / "a.tif").size == (16, 16)


@pytest.mark.parametrize("kind", FILES + OTHERS)
def test_decompression_bombs_are_refused_before_decoding(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, kind)
    monkeypatch.setattr(bounds, "PHOTO_PIXELS", 4000)  # the picture has 4800
    monkeypatch.setattr(cv2, "imdecode", _must_not_run)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", _must_not_run)
    with pytest.raises(PhotoError, match=r"80 × 60 pixels; at most .* scale it down"):
        Photo.open(path)


def _must_not_run(*_: object, **__: object) -> None:
    raise AssertionError("decoded")


def test_large_photos_below_the_limit_open_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, "a.png")
    for limit in (2000, 4000, None):  # Pillow warns above, and raises above twice as many
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert Photo.open(path).size == (60, 80)
        assert Image.MAX_IMAGE_PIXELS == limit


def test_a_png_of_no_width_is_refused(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(png.SIGNATURE + header + chunk(b"IEND", b""))
    with pytest.raises(PhotoError):
        Photo.open(tmp_path / "a.png")


def test_pictures_from_memory_are_copied() -> None:
    array = noise(4, 5, 3)
    photo = Photo.from_image(array)
    before = photo.sha256
    array[:] = 0
    assert photo.sha256 == before and photo.path is None
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0, 0] = 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "PA", "I;16"])
def test_pillow_images_of_every_photo_mode_are_taken(mode: str) -> None:
    photo = Photo.from_image(Image.new(mode, (5, 4)))
    assert photo.size == (4, 5)
    assert photo.depth == (16 if mode == "I;16" else 8)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((0, 4, 3), np.uint8), "4 × 0 pixels holds nothing"),
        (Image.new("RGB", (0, 4)), "holds nothing"),
        (np.zeros((4, 4, 3)), r"float64; give uint8 .* \* 255"),
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (Image.new("HSV", (4, 4)), "HSV"),
        ("a.png", "a str is not a picture"),
    ],
)
def test_bad_pictures_from_memory(picture: Any, message: str) -> None:
    with pytest.raises(PhotoError, match=message):
        Photo.from_image(picture)


def test_digest_is_the_file_s_or_the_pixels(tmp_path: Path) -> None:
    import hashlib

    path = stored(tmp_path, "a.png")
    photo = Photo.open(path)
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    copy = Photo.from_image(photo.pixels)
    assert copy.sha256 == Photo.from_image(photo.pixels).sha256 != photo.sha256
    assert Photo.from_image(photo.pixels.reshape(80, 60, 3)).sha256 != copy.sha256


@pytest.mark.parametrize(("depth", "channels"), DEEP)
def test_colours_and_preview(depth: int, channels: int) -> None:
    pixels = noise(3, 4, channels, depth)
    photo = Photo(pixels, icc=SRGB)
    rgb = photo.rgb()
    full = 2**depth - 1
    assert rgb.shape == (3, 3, 4) and rgb.dtype == torch.float32
    channel = 2 if channels >= 3 else 0
    assert np.allclose(rgb[2].numpy(), pixels[..., channel] / full)
    assert photo.image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    expected = np.rint(pixels / (full / 255)).astype(np.uint8)
    assert np.array_equal(np.asarray(photo.image).reshape(3, 4, channels), expected)
    assert photo.image.info["icc_profile"] == SRGB
    assert photo._repr_png_().startswith(png.SIGNATURE)


@pytest.mark.parametrize("tag", [256, 257])  # width, height
def test_a_picture_of_no_pixels_is_refused(tmp_path: Path, tag: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 3), np.uint16), photometric="rgb")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(struct.pack("<H", tag))
    data[at + 8 : at + 12] = bytes(4)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(PhotoError):
        Photo.open(tmp_path / "a.tif")
