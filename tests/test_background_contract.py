"""Outside the feathered masks pixels, alpha and profile are the input file's, bit for bit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from locstyle.errors import PhotoError
from locstyle.masks import Mask, Partition
from locstyle.photo import Photo
from locstyle.photo import exif as exif_block
from locstyle.photo.canvas import Canvas

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZES = [(1, 1), (3, 5), (37, 53), (101, 8)]


def noise(size: tuple[int, int], channels: int, depth: int, seed: int = 0) -> np.ndarray:
    kind = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**depth, (*size, channels), dtype=kind)


def styled(size: tuple[int, int], seed: int = 1) -> torch.Tensor:
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))


def mask_of(size: tuple[int, int], seed: int = 2) -> Mask:
    """Spots, some of them soft, that leave pixels free."""
    values = torch.rand(size, generator=torch.Generator().manual_seed(seed))
    return Mask(torch.where(values > 0.9, values, 0.0))


def wide(pixels: np.ndarray) -> np.ndarray:
    channels = {1: [0, 0, 0], 2: [0, 0, 0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]}
    return pixels[..., channels[pixels.shape[2]]]


def assert_background(before: np.ndarray, after: np.ndarray, weight: torch.Tensor) -> None:
    outside = weight.numpy() == 0
    expected = wide(before)
    assert after.dtype == expected.dtype and after.shape == expected.shape
    assert np.array_equal(after[outside], expected[outside])
    if before.shape[2] in (2, 4):
        assert np.array_equal(after[..., 3], before[..., -1]), "alpha, inside and outside"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("feather", [0, 2.5])
@pytest.mark.parametrize(
    "suffixes", [(".png", ".png"), (".tif", ".tif"), (".tif", ".png"), (".png", ".tif")]
)
def test_from_file_to_file(
    tmp_path: Path,
    size: tuple[int, int],
    channels: int,
    depth: int,
    feather: float,
    suffixes: tuple[str, str],
) -> None:
    before = noise(size, channels, depth)
    Photo(before, icc=SRGB, exif=_exif()).save(tmp_path / f"in{suffixes[0]}")
    photo = Photo.open(tmp_path / f"in{suffixes[0]}")
    weight = Partition.of([mask_of(size).feather(min(feather, *size))]).weight
    photo.pasted(styled(size), weight).save(tmp_path / f"out{suffixes[1]}")
    result = Photo.open(tmp_path / f"out{suffixes[1]}")
    assert_background(before, result.pixels, weight)
    assert result.icc == SRGB and _maker(result) == _maker(photo) == "Kamera AG"


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("source", [".webp", ".jpg"])
@pytest.mark.parametrize("target", [".png", ".tif", ".webp"])
def test_from_eight_bit_formats(tmp_path: Path, source: str, target: str, channels: int) -> None:
    size = (37, 53)
    if (source, channels) == (".jpg", 4):
        channels = 3
    Photo(noise(size, channels, 8), icc=SRGB, exif=_exif()).save(tmp_path / f"in{source}")
    photo = Photo.open(tmp_path / f"in{source}")
    weight = mask_of(size).feather(2).values
    photo.pasted(styled(size), weight).save(tmp_path / f"out{target}")
    result = Photo.open(tmp_path / f"out{target}")
    assert_background(photo.pixels, result.pixels, weight)
    assert result.icc == SRGB


def test_files_of_other_programs(tmp_path: Path) -> None:
    """Read back by the other programs too, not only by us."""
    size = (21, 34)
    deep, low = noise(size, 3, 16), noise(size, 4, 8)
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", compression="zlib")
    Image.fromarray(low).save(tmp_path / "b.png", icc_profile=SRGB)
    weight = mask_of(size).feather(1).values
    outside = weight.numpy() == 0
    for name in ("a.png", "a.tif", "b.png"):
        Photo.open(tmp_path / name).pasted(styled(size), weight).save(tmp_path / f"out-{name}")
    png = cv2.imread(str(tmp_path / "out-a.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    tif = tifffile.imread(tmp_path / "out-a.tif")
    assert np.array_equal(png[outside], deep[outside]) and np.array_equal(
        tif[outside], deep[outside]
    )
    with Image.open(tmp_path / "out-b.png") as image:
        again = np.asarray(image)
        assert image.info["icc_profile"] == SRGB
    assert np.array_equal(again[outside], low[outside])
    assert np.array_equal(again[..., 3], low[..., 3])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos(tmp_path: Path, orientation: int) -> None:
    """A turned photo and its turned mask agree, and the background is the upright photo's."""
    stored = noise((24, 40), 3, 8)
    spot = np.zeros((24, 40), np.uint8)
    spot[2:9, 5:12] = 255
    tag = Image.Exif()
    tag[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "in.png", exif=tag)
    Image.fromarray(spot).save(tmp_path / "mask.png", exif=tag)
    photo = Photo.open(tmp_path / "in.png")
    mask = Mask.open(tmp_path / "mask.png", photo.size)
    photo.pasted(torch.zeros(3, *photo.size), mask.values).save(tmp_path / "out.png")
    result = Photo.open(tmp_path / "out.png").pixels
    assert_background(photo.pixels, result, mask.values)
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif().get(0x0112) == 1
    back = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    from locstyle.photo.picture import turned

    as_stored = turned(result, back)
    assert np.array_equal(as_stored[spot == 0], stored[spot == 0])
    assert bool((as_stored[spot == 255] == 0).all())


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([8, 16]),
    st.integers(0, 1000),
    st.floats(0, 5),
)
def test_through_the_canvas(
    size: tuple[int, int], channels: int, depth: int, seed: int, feather: float
) -> None:
    """The way of an edit: shrink, change everything, grow, paste."""
    photo = Photo(noise(size, channels, depth, seed))
    canvas = Canvas.fit(size, size=None, native=32, multiple=8)
    work = 1 - canvas.shrink(photo.rgb())
    weight = mask_of(size, seed).feather(min(feather, max(size))).values
    result = photo.pasted(canvas.grow(work), weight)
    assert_background(photo.pixels, result.pixels, weight)
    assert np.array_equal(
        photo.widened(result)[weight.numpy() == 0], result.pixels[weight.numpy() == 0]
    )


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 2, 3, 4]), st.sampled_from([8, 16]), st.integers(0, 1000))
def test_pasting_the_photo_into_itself_changes_nothing(
    channels: int, depth: int, seed: int
) -> None:
    photo = Photo(noise((7, 9), channels, depth, seed))
    weight = torch.rand(7, 9, generator=torch.Generator().manual_seed(seed))
    assert np.array_equal(photo.pasted(photo.rgb(), weight).pixels, wide(photo.pixels))


@pytest.mark.parametrize("depth", [8, 16])
def test_full_weight_gives_the_styled_picture(depth: int) -> None:
    picture = styled((6, 7))
    result = Photo(noise((6, 7), 3, depth)).pasted(picture * 2 - 0.5, torch.ones(6, 7))
    expected = (picture * 2 - 0.5).clamp(0, 1).permute(1, 2, 0).numpy() * (2**depth - 1)
    assert np.abs(result.pixels - expected).max() <= 0.51


def test_half_weight_gives_the_middle() -> None:
    photo = Photo(np.full((2, 2, 3), 100, np.uint8))
    result = photo.pasted(torch.full((3, 2, 2), 200 / 255), torch.full((2, 2), 0.5))
    assert bool((result.pixels == 150).all())


def test_pasting_leaves_the_photo_itself_alone() -> None:
    photo = Photo(noise((5, 5), 4, 8))
    before = photo.pixels.copy()
    result = photo.pasted(styled((5, 5)), torch.ones(5, 5))
    assert np.array_equal(photo.pixels, before)
    assert result.sha256 != photo.sha256 and result.path is None


def test_values_that_are_not_finite_are_never_written() -> None:
    picture = styled((5, 5))
    picture[1, 2, 2] = torch.nan
    with pytest.raises(PhotoError, match="1 values that are not finite"):
        Photo(noise((5, 5), 3, 8)).pasted(picture, torch.ones(5, 5))


def test_mistakes_of_a_caller_are_told() -> None:
    photo = Photo(noise((5, 6), 3, 8))
    with pytest.raises(ValueError, match=r"for a photo of \(5, 6\)"):
        photo.pasted(styled((6, 5)), torch.ones(5, 6))
    for weight in (torch.full((5, 6), 1.5), torch.full((5, 6), torch.nan)):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            photo.pasted(styled((5, 6)), weight)


def test_a_grey_profile_is_dropped_aloud_where_grey_becomes_rgb() -> None:
    grey = SRGB[:16] + b"GRAY" + SRGB[20:]
    photo = Photo(noise((5, 5), 1, 8), icc=grey)
    with pytest.warns(UserWarning, match="profile is for grey"):
        result = photo.pasted(styled((5, 5)), torch.zeros(5, 5))
    assert result.icc is None and np.array_equal(result.pixels, wide(photo.pixels))


def _maker(photo: Photo) -> object:
    block = Image.Exif()
    block.load(exif_block.PREFIX + (photo.exif or b""))
    return block.get(0x010F)


def _exif() -> bytes | None:
    block = Image.Exif()
    block[0x010F] = "Kamera AG"
    return exif_block.bare(block.tobytes())
