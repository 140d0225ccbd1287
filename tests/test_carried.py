"""What a file carries beside its pixels comes along, or is named once."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from profiles import ADOBE, P3, muted

from locstyle import OutputError, PhotoError
from locstyle.photo import Photo, carried, png
from locstyle.photo import icc as profiles

XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r">'
    b'<rdf:Description tiff:Orientation="6" dc:title="Ein Reh"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)
UPRIGHT = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x78\x00\x09Ein Reh.." + b"\x1c\x02\x50\x00\x04Anna"
PIXELS = muted((20, 30))
CHUNKS = (
    (b"gAMA", struct.pack(">I", 55555)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)),
    (b"sBIT", bytes((7, 7, 6))),
    (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
    (b"tEXt", b"Author\0Anna"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"a deer")),
    (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + UPRIGHT),
    (b"iTXt", b"locstyle\0\0\0\0\0{}"),
    (b"vpAg", bytes(9)),
)


def a_png(path: Path, *chunks: tuple[bytes, bytes], pixels: np.ndarray = PIXELS) -> Path:
    path.write_bytes(png.encode_png(pixels, chunks))
    return path


def chunks_of(path: Path) -> dict[bytes, bytes]:
    return dict(png.read_chunks(path.read_bytes()))


def a_jpeg(path: Path, **more: object) -> Path:
    Image.fromarray(PIXELS).save(path, "JPEG", **more)
    return path


def styled(photo: Photo) -> Photo:
    """The photo with something pasted into a part of it."""
    weight = torch.zeros(photo.size)
    weight[2:5, 3:9] = 1
    return photo.pasted(torch.rand(3, *photo.size), weight)


def saved(photo: Photo, path: Path) -> tuple[Photo, list[str]]:
    """What is in the file a styled photo was saved as, and what was said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        styled(photo).save(path)
    return Photo.open(path), [str(warning.message) for warning in told]


def test_a_png_keeps_what_a_png_said(tmp_path: Path) -> None:
    source = a_png(tmp_path / "a.png", *CHUNKS)
    after, told = saved(Photo.open(source), tmp_path / "b.png")
    assert told == ["b.png: not carried over: PNG chunk vpAg"]
    found = chunks_of(tmp_path / "b.png")
    for kind, body in CHUNKS[:4]:
        assert found[kind] == body
    with Image.open(tmp_path / "b.png") as image:
        assert image.text["Author"] == "Anna" and image.text["Comment"] == "a deer"
        assert image.text["XML:com.adobe.xmp"].encode() == UPRIGHT
        assert "locstyle" not in image.text  # an earlier edit's recipe is not this one's
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert after.carried.density == Photo.open(source).carried.density


def test_the_recipe_of_this_edit_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    photo = Photo.open(a_png(tmp_path / "a.png", *CHUNKS[:-1]))
    photo.save(tmp_path / "b.png", text={"locstyle": "{1}"})
    Photo.open(tmp_path / "b.png").save(tmp_path / "c.png", text={"locstyle": "{2}"})
    with Image.open(tmp_path / "c.png") as image:
        assert image.text["locstyle"] == "{2}" and image.text["Author"] == "Anna"


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_other_formats_keep_what_they_can_and_name_the_rest(tmp_path: Path, suffix: str) -> None:
    source = Photo.open(a_png(tmp_path / "a.png", *CHUNKS[:-1]))
    after, told = saved(source, tmp_path / f"b{suffix}")
    texts = "Author" if suffix == ".jpg" else "Author, Comment"
    said = [f"text ({texts})", "sBIT", *(["the resolution"] if suffix == ".webp" else [])]
    assert told == [f"b{suffix}: not carried over: {'; '.join(said)}"]
    assert after.carried.xmp == UPRIGHT
    assert after.icc == source.icc is not None  # what gAMA and cHRM said
    if suffix != ".webp":
        assert after.carried.density is not None
        assert after.carried.density.per("inch") == pytest.approx((300, 300), abs=0.01)
    if suffix == ".jpg":
        assert after.carried.text == {"Comment": "a deer"}


def test_a_jpeg_s_words_come_along(tmp_path: Path) -> None:
    iptc = carried.resources_of(IPTC)
    segment = b"Photoshop 3.0\0" + iptc
    extra = struct.pack(">2sH", b"\xff\xed", len(segment) + 2) + segment
    a_jpeg(tmp_path / "a.jpg", xmp=UPRIGHT, comment="a deer", dpi=(240, 240), extra=extra)
    photo = Photo.open(tmp_path / "a.jpg")
    assert photo.carried.iptc == IPTC and photo.carried.xmp == UPRIGHT
    assert photo.carried.density == carried.Density(240, 240, "inch")
    for suffix, lost in {
        ".jpg": [],
        ".png": [],
        ".tif": ["text (Comment)"],
        ".webp": ["text (Comment)", "IPTC", "the resolution"],
    }.items():
        after, told = saved(photo, tmp_path / f"b{suffix}")
        expected = [f"b{suffix}: not carried over: {'; '.join(lost)}"] if lost else []
        assert told == expected
        assert after.carried.xmp == UPRIGHT
        if "IPTC" not in lost:
            assert after.carried.iptc == IPTC
        if "the resolution" not in lost:
            assert after.carried.density is not None
            assert after.carried.density.per("inch") == pytest.approx((240, 240), abs=0.01)
        if not lost:
            assert after.carried.text == {"Comment": "a deer"}
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["photoshop"][0x0404] == IPTC and image.info["comment"] == b"a deer"
        assert image.info["dpi"] == (240, 240)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages[0].tags
        assert tags[33723].value == IPTC and tags[700].value == UPRIGHT
        assert tags[282].value == (2_400_000, 10_000) and tags[296].value == 2


@pytest.mark.parametrize("depth", [8, 16])
def test_a_tiff_s_words_come_along(tmp_path: Path, depth: int) -> None:
    pixels = PIXELS if depth == 8 else PIXELS.astype(np.uint16) * 257
    tags = [(700, 1, len(UPRIGHT), UPRIGHT, True), (33723, 7, len(IPTC), IPTC, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", resolution=(120, 60), resolutionunit=3,
        extratags=tags, metadata=None,
    )  # fmt: skip
    photo = Photo.open(tmp_path / "a.tif")
    for suffix in (".tif", ".png", ".jpg"):
        after, _ = saved(photo, tmp_path / f"b{suffix}")
        assert after.carried.xmp == UPRIGHT and after.carried.iptc == IPTC
        assert after.carried.density is not None
        assert after.carried.density.per("cm") == pytest.approx((120, 60), abs=0.01)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_xmp_s_orientation_counts_where_exif_says_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        a_png(path, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    elif suffix == ".tif":
        tags = [(700, 1, len(XMP), XMP, True)]
        tifffile.imwrite(path, PIXELS.astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    else:
        Image.fromarray(PIXELS).save(path, xmp=XMP)
    photo = Photo.open(path)
    assert photo.size == (30, 20) and photo.carried.xmp == UPRIGHT
    low = photo.pixels if photo.depth == 8 else photo.pixels // 257
    assert np.abs(low.astype(int) - np.rot90(PIXELS, -1)).mean() < 8
    exif = Image.Exif()
    exif[0x0112] = 1
    if suffix in (".jpg", ".webp"):
        Image.fromarray(PIXELS).save(path, xmp=XMP, exif=exif)
        assert Photo.open(path).size == (20, 30)


def test_what_a_jpeg_s_segments_are_too_short_for_is_named(tmp_path: Path) -> None:
    long = UPRIGHT + b" " * 70_000
    photo = Photo(PIXELS, carried=carried.Carried(xmp=long, iptc=IPTC * 4000))
    with pytest.warns(UserWarning, match=r"70\d\d\d bytes of XMP .*; \d+ bytes of IPTC"):
        photo.save(tmp_path / "a.jpg")
    photo.save(tmp_path / "a.png")
    assert Photo.open(tmp_path / "a.png").carried.xmp == long


def test_further_pictures_are_named(tmp_path: Path) -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[:8])
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    _, told = saved(Photo.open(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert told == [
        "b.jpg: not carried over: its further pictures (a second view, a gain map or a preview)"
    ]
    gain = b'<x:xmpmeta><rdf:Description hdrgm:Version="1.0"/></x:xmpmeta>'
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], xmp=gain)
    after, told = saved(Photo.open(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert len(told) == 1 and "gain map" in told[0]
    assert after.carried.xmp is None  # it would promise what is gone


# Colours named without a profile


def test_gamma_and_primaries_mean_what_they_say(tmp_path: Path) -> None:
    plain = Photo.open(a_png(tmp_path / "plain.png"))
    dark = Photo.open(a_png(tmp_path / "a.png", (b"gAMA", struct.pack(">I", 100_000))))
    light = (plain.pixels / 255.0).astype(np.float32)
    expected = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    assert np.abs(dark.rgb().permute(1, 2, 0).numpy() - expected).max() < 1e-3
    same = Photo(PIXELS, icc=ADOBE)
    wide = (b"gAMA", struct.pack(">I", 45470)), CHUNKS[1]
    adobe = Photo.open(a_png(tmp_path / "c.png", *wide))
    assert float((adobe.rgb() - same.rgb()).abs().max()) < 0.002


@pytest.mark.parametrize(
    "chunk",
    [
        (b"sRGB", b"\0"),
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cICP", bytes((1, 13, 0, 1))),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        (b"gAMA", bytes(4)),
        (b"cHRM", bytes(32)),
        (b"cHRM", b"short"),
    ],
)
def test_chunks_that_say_srgb_or_nonsense_change_nothing(
    tmp_path: Path, chunk: tuple[bytes, bytes]
) -> None:
    photo = Photo.open(a_png(tmp_path / "a.png", chunk))
    assert photo.icc is None and photo.space is None
    photo.save(tmp_path / "b.png")
    kept = None if chunk[1] == b"short" else chunk[1]
    assert chunks_of(tmp_path / "b.png").get(chunk[0]) == kept


def test_coding_points_count_before_everything_else(tmp_path: Path) -> None:
    wide = Photo.open(
        a_png(tmp_path / "a.png", (b"cICP", bytes((12, 13, 0, 1))), png.profile_chunk(ADOBE))
    )
    same = Photo(PIXELS, icc=P3)
    assert float((wide.rgb() - same.rgb()).abs().max()) < 0.002
    iccp = Photo.open(a_png(tmp_path / "b.png", *CHUNKS[:2], png.profile_chunk(ADOBE)))
    assert iccp.icc == ADOBE


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_name(tmp_path: Path, transfer: int, name: str) -> None:
    path = a_png(tmp_path / "a.png", (b"cICP", bytes((9, transfer, 0, 1))))
    with pytest.raises(PhotoError, match=rf"high dynamic range \({name}\); export it"):
        Photo.open(path)


def test_a_camera_s_adobe_rgb_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    a_jpeg(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    a_jpeg(tmp_path / "b.jpg", quality=100, subsampling=0)
    found, plain = Photo.open(tmp_path / "a.jpg"), Photo.open(tmp_path / "b.jpg")
    expected = Photo(plain.pixels, icc=ADOBE).rgb()
    assert float((found.rgb() - expected).abs().max()) < 0.003
    assert plain.space is None


# What is written can be read


def padded(length: int) -> bytes:
    """A profile of sRGB, as long as that."""
    profile = profiles.write("long", profiles.SRGB)
    return profile + np.random.default_rng(0).bytes(length - len(profile))


def test_a_profile_no_png_reader_takes_is_refused_before_the_work(tmp_path: Path) -> None:
    photo = Photo(PIXELS, icc=padded(1_200_000))
    with pytest.raises(OutputError, match=r"profile of 1200000 bytes.*\.tif, \.jpg or \.webp"):
        photo.save(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
    for suffix in (".tif", ".jpg", ".webp"):
        photo.save(tmp_path / f"a{suffix}")
        assert Photo.open(tmp_path / f"a{suffix}").icc == photo.icc


def test_large_profiles_and_texts_of_others_are_read(tmp_path: Path) -> None:
    text = b"zTXt", b"long\0\0" + zlib.compress(bytes(3_000_000).replace(b"\0", b"x"))
    path = a_png(tmp_path / "a.png", png.profile_chunk(padded(1_200_000)), text)
    with pytest.raises(ValueError, match="too large"), Image.open(path):
        pass  # so says Pillow
    photo = Photo.open(path)
    assert photo.icc == padded(1_200_000) and len(photo.carried.text["long"]) == 3_000_000
    assert np.array_equal(photo.pixels, PIXELS)


def test_a_damaged_profile_is_named(tmp_path: Path) -> None:
    photo = Photo.open(a_png(tmp_path / "a.png", (b"iCCP", b"name\0\0not zlib")))
    assert photo.icc is None
    _, told = saved(photo, tmp_path / "b.png")
    assert told == [
        "b.png: not carried over: a damaged colour profile, whose colours count as sRGB"
    ]


def test_what_would_come_out_unreadable_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "SIGNATURE", b"no signature")
    (tmp_path / "a.png").write_bytes(b"before")
    with pytest.raises(OutputError, match=r"a\.png: came out unreadable"):
        Photo(PIXELS).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"before"


def test_grey_s_significant_bits_follow_it_to_rgb(tmp_path: Path) -> None:
    grey = a_png(tmp_path / "a.png", (b"sBIT", b"\5"), pixels=PIXELS[..., :1])
    saved(Photo.open(grey), tmp_path / "b.png")
    assert chunks_of(tmp_path / "b.png")[b"sBIT"] == bytes((5, 5, 5))


def test_a_broken_block_costs_nothing(tmp_path: Path) -> None:
    texts = [b"Raw profile type iptc\0\0" + zlib.compress(b"\nnonsense"), b"\0\0", b"x" * 90]
    path = a_png(tmp_path / "a.png", *((b"zTXt", text) for text in texts), (b"pHYs", b"12"))
    assert Photo.open(path).carried.iptc is None
    for broken in (b"8BIM", b"8BIM\4\4", b"8BIM\4\4\0\0\0\0\xff\xff", b"8BIM" + bytes(200)):
        name, text = carried.raw_text("iptc", broken)
        chunk = png.text_chunk(name, text)
        assert not Photo.open(a_png(tmp_path / "b.png", chunk)).carried.iptc
