"""Masks: what may be one, what it covers, how it softens; partitions: they sum to 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from locstyle.errors import MaskError
from locstyle.masks import Mask, Partition, read_mask
from locstyle.photo import Photo
from locstyle.photo.canvas import Canvas

SIZE = (30, 40)


@pytest.fixture
def photo() -> Photo:
    return Photo(np.zeros((*SIZE, 3), np.uint8))


def disc(size: tuple[int, int] = SIZE, radius: float = 8) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - size[0] / 2) ** 2 + (x - size[1] / 2) ** 2 < radius**2


def soft_masks(seed: int, count: int, size: tuple[int, int]) -> list[Mask]:
    """Masks with hard zeros, hard ones and everything between."""
    draw = torch.Generator().manual_seed(seed)
    return [Mask((torch.rand(size, generator=draw) * 2 - 0.5).clamp(0, 1)) for _ in range(count)]


small = st.integers(1, 40)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 5), small, small, small, small)
def test_a_partition_sums_to_one_at_every_size(
    seed: int, count: int, height: int, width: int, other_height: int, other_width: int
) -> None:
    partition = Partition.of(soft_masks(seed, count, (height, width)), (height, width))
    canvas = Canvas.fit((height, width), size=None, native=32, multiple=8)
    for values in (
        partition.values,
        partition.at(other_height, other_width),
        partition.at(1, 1),
        partition.on(canvas).values,
        partition.feather(min(2.5, height, width)).values,
    ):
        assert values.shape[0] == count + 1 and values.dtype == torch.float32
        assert values.min() >= 0 and values.max() <= 1
        assert torch.allclose(values.sum(0), torch.ones(()), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_later_regions_lie_on_top(seed: int, count: int) -> None:
    masks = soft_masks(seed, count, (6, 7))
    values = Partition.of(masks).values
    rest = torch.ones(6, 7)
    for index in reversed(range(count)):
        assert torch.allclose(values[index + 1], masks[index].values * rest, atol=1e-6)
        rest = rest * (1 - masks[index].values)
    assert torch.allclose(values[0], rest, atol=1e-6)
    top = masks[-1].values == 1
    assert bool((values[-1][top] == 1).all()) and bool((values[:-1, top] == 0).all())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_untouched_pixels_are_exactly_outside(seed: int, count: int) -> None:
    masks = soft_masks(seed, count, (6, 7))
    partition = Partition.of(masks)
    untouched = torch.stack([m.values for m in masks]).sum(0) == 0
    assert bool((partition.outside[untouched] == 1).all())
    assert bool((partition.weight[untouched] == 0).all())


def test_separate_regions_may_come_in_any_order() -> None:
    left = Mask.box((0, 0, 10, 30), SIZE)
    right = Mask.box((20, 5, 40, 25), SIZE)
    one, other = Partition.of([left, right]).values, Partition.of([right, left]).values
    assert torch.equal(one, other[[0, 2, 1]])


def test_a_full_region_leaves_nothing_outside() -> None:
    partition = Partition.of([Mask.everywhere(SIZE)])
    assert bool((partition.outside == 0).all()) and partition.regions == 1


def test_area_sampling_is_exact() -> None:
    partition = Partition.of([Mask.box((0, 0, 15, 30), SIZE)])
    assert torch.allclose(partition.at(1, 4)[1], torch.tensor([[1, 0.5, 0, 0]]))
    assert torch.allclose(
        partition.at(1, 3)[1], torch.tensor([[1, 1.6667 / 13.3333, 0]]), atol=1e-3
    )


def test_no_regions_need_a_size() -> None:
    assert torch.equal(Partition.of([], (2, 3)).values, torch.ones(1, 2, 3))
    with pytest.raises(ValueError, match="size"):
        Partition.of([])


def test_masks_of_different_sizes_make_no_partition() -> None:
    with pytest.raises(MaskError, match=r"regions\[0\].mask is 40 × 30 .* 20 × 10"):
        Partition.of([Mask.everywhere(SIZE), Mask.everywhere((10, 20))], (10, 20))


def test_touching_regions_feathered_together_hide_what_is_outside() -> None:
    partition = Partition.of([Mask.box((0, 0, 20, 30), SIZE), Mask.box((20, 0, 40, 30), SIZE)])
    assert bool((partition.feather(4).outside == 0).all())


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 12), small, small)
def test_feather_reaches_exactly_as_far_as_stated(
    seed: int, pixels: float, height: int, width: int
) -> None:
    from scipy.ndimage import maximum_filter, minimum_filter

    pixels = min(pixels, max(height, width))
    values = (
        torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) > 0.97
    ).float()
    soft = Mask(values).feather(pixels).values
    assert soft.min() >= 0 and soft.max() <= 1
    window = 2 * int(np.ceil(pixels)) + 1
    near = torch.from_numpy(maximum_filter(values.numpy(), window, mode="nearest"))
    deep = torch.from_numpy(minimum_filter(values.numpy(), window, mode="nearest"))
    assert bool((soft[near == 0] == 0).all()), "beyond its reach: exactly 0"
    assert bool((soft[deep == 1] == 1).all()), "deep inside: exactly 1"


def test_feather_of_the_whole_picture_is_the_whole_picture() -> None:
    assert bool((Mask.everywhere(SIZE).feather(9).values == 1).all())


def test_no_feather_changes_nothing() -> None:
    mask = Mask.from_image(disc())
    assert torch.equal(mask.feather(0).values, mask.values)


def test_feather_is_a_ramp_with_the_edge_at_one_half() -> None:
    row = Mask.box((0, 0, 20, 30), SIZE).feather(5).values[15]
    assert bool((row[:15] == 1).all()) and bool((row[25:] == 0).all())
    assert bool((row.diff() <= 0).all())
    assert (row[19] + row[20]).item() == pytest.approx(1) and row[19] > 0.5 > row[20]


def test_feather_keeps_the_area_and_the_symmetry() -> None:
    mask = Mask.from_image(disc((41, 41), 12))
    soft = mask.feather(4)
    assert soft.area == pytest.approx(mask.area, rel=1e-6)
    turned = Mask(mask.values.rot90().contiguous()).feather(4).values
    assert torch.allclose(turned, soft.values.rot90(), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 8), st.floats(0, 8))
def test_more_feather_is_softer(one: float, other: float) -> None:
    mask = Mask.box((10, 10, 30, 20), SIZE)
    less, more = sorted((one, other))
    extent = [int((mask.feather(p).values > 0).sum()) for p in (less, more)]
    assert extent[0] <= extent[1]


@pytest.mark.parametrize("pixels", [-1, float("nan"), float("inf"), 1e9])
def test_feathers_that_are_none(pixels: float) -> None:
    with pytest.raises(MaskError, match="feather: got"):
        Mask.everywhere(SIZE).feather(pixels)


def test_bounds_area_above_and_invert() -> None:
    mask = Mask.box((3, 5, 13, 25), SIZE)
    assert mask.bounds == (3, 5, 13, 25)
    assert mask.area == pytest.approx(200 / 1200)
    assert mask.invert().area == pytest.approx(1000 / 1200)
    half = Mask(mask.values / 2)
    assert half.above(0.4).bounds == mask.bounds and half.above(0.5).bounds == (0, 0, 0, 0)
    assert half.above(0.4).sha256 == mask.sha256 != half.sha256


@pytest.mark.parametrize(
    "array",
    [
        disc(),
        disc()[..., None],
        disc().astype(np.uint8) * 255,
        disc().astype(np.uint16) * 65535,
        disc().astype(np.float64),
        np.stack([disc().astype(np.float32)] * 3, -1),
        torch.from_numpy(disc()),
        torch.from_numpy(disc()).float()[None],
        Image.fromarray(disc()),
        Image.fromarray(disc().astype(np.uint8) * 255),
        Image.fromarray(disc().astype(np.uint16) * 65535),
        Image.fromarray(disc().astype(np.uint8) * 255).convert("RGB"),
        Image.fromarray(disc().astype(np.uint8) * 255).convert("P"),
    ],
    ids=lambda a: f"{type(a).__name__}-{getattr(a, 'dtype', getattr(a, 'mode', ''))}",
)
def test_every_kind_of_picture_gives_the_same_mask(array: Any) -> None:
    mask = Mask.from_image(array)
    assert np.array_equal(mask.values.numpy(), disc().astype(np.float32))


def test_soft_masks_stay_soft() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    assert np.allclose(Mask.from_image(ramp).values.numpy(), ramp / 255)
    deep = np.tile(np.arange(0, 65536, 257, dtype=np.uint16), (4, 1))
    assert np.allclose(Mask.from_image(deep).values.numpy(), deep / 65535)


def test_alpha_as_painting_programs_leave_it() -> None:
    shape = disc().astype(np.uint8) * 255
    shape[15, 20] = 100
    nothing = np.zeros_like(shape)
    white_on_clear = np.dstack([nothing + 255] * 3 + [shape])
    white_on_clear_black = np.dstack([np.where(shape > 0, 255, 0).astype(np.uint8)] * 3 + [shape])
    black_on_clear = np.dstack([nothing] * 3 + [shape])
    grey_alpha = np.dstack([nothing + 30, shape])
    opaque = np.dstack([shape] * 3 + [nothing + 255])
    for picture in (white_on_clear, white_on_clear_black, black_on_clear, grey_alpha, opaque):
        assert np.allclose(Mask.from_image(picture).values.numpy(), shape / 255)
    two_tone = np.dstack([np.where(shape > 100, 255, 128).astype(np.uint8)] * 3 + [shape])
    assert np.allclose(Mask.from_image(two_tone).values[15, 20], 128 / 255 * 100 / 255)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros(SIZE), "covers nothing"),
        (np.zeros((0, 4)), "4 × 0 pixels holds nothing"),
        (np.full(SIZE, np.nan), "1200 values are not finite"),
        (np.full(SIZE, np.inf, np.float32), "not finite"),
        (np.full(SIZE, 255.0), "values from 255 to 255; masks of floats lie in"),
        (np.full(SIZE, -0.5), "values from -0.5"),
        (disc().astype(np.uint8), "brightest value is 1 of 255"),
        (2 * disc().astype(np.int64), "int64 with values from 0 to 2; give booleans"),
        (-disc().astype(np.int8), "int8 with values from -1 to 0; give booleans"),
        (disc().astype("M8[s]"), r"datetime64\[s\]; give booleans"),
        (disc().astype("S5"), "S5; give booleans"),
        (disc().astype(complex), "complex128; give booleans"),
        (np.full(SIZE, None), "object; give booleans"),
        (torch.ones(SIZE, device="meta"), "holds no plain numbers"),
        (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\)"),
        (np.zeros((4, 4, 7)), r"shape \(4, 4, 7\)"),
        (5, "int is no mask; give a selection"),
        (Image.new("HSV", (4, 4)), "HSV"),
        (torch.full(SIZE, float("nan")), "not finite"),
    ],
)
def test_pictures_that_are_no_masks(picture: Any, message: str, photo: Photo) -> None:
    with pytest.raises(MaskError, match=rf"regions\[1\]\.mask: .*{message}"):
        read_mask(picture, photo, where="regions[1].mask")


def test_zeros_and_ones_of_any_type_but_a_pictures_are_a_mask(photo: Photo) -> None:
    for kind in (bool, np.int64, np.int8, np.uint32, np.float16, np.float64):
        mask = read_mask(disc().astype(kind), photo, where="mask")
        assert (mask.values.numpy() == disc()).all()
    soft = torch.from_numpy(disc()).to(torch.bfloat16)
    assert (read_mask(soft, photo, where="mask").values.numpy() == disc()).all()


def test_masks_made_by_hand_are_checked_too(photo: Photo) -> None:
    for mask in (Mask(torch.zeros(SIZE)), Mask(torch.full(SIZE, torch.nan))):
        with pytest.raises(
            MaskError, match=r"regions\[0\].mask: the mask covers nothing or is not"
        ):
            read_mask(mask, photo, where="regions[0].mask")
    with pytest.raises(MaskError, match=r"is 4 × 4 but the photo is 40 × 30 \(width × height\)"):
        read_mask(Mask.everywhere((4, 4)), photo, where="regions[0].mask")
    with pytest.raises(ValueError, match="float32"):
        Mask(torch.zeros(SIZE, dtype=torch.float64))


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((5, 5, 5, 9), "box 5,5,5,9 covers nothing"),
        ((9, 5, 5, 9), "box 9,5,5,9 covers nothing"),
        ((0, 0, 41, 30), r"reaches outside the photo of 40 × 30 \(width × height\)"),
        ((-1, 0, 4, 4), "reaches outside"),
    ],
)
def test_boxes_that_are_no_masks(corners: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(MaskError, match=rf"^regions\[2\]\.mask: .*{message}"):
        Mask.box(corners, SIZE, where="regions[2].mask")


def test_mask_files_that_do_not_fit(tmp_path: Path, photo: Photo) -> None:
    Image.fromarray(disc((40, 30))).save(tmp_path / "turned.png")
    Image.fromarray(disc((60, 80))).save(tmp_path / "large.png")
    Image.new("L", (40, 30)).save(tmp_path / "black.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "large.png").read_bytes()[:90])
    for name, message in {
        "turned.png": "'turned.png' is 30 × 40 but the photo is 40 × 30.*turned by a quarter",
        "large.png": "'large.png' is 80 × 60 but the photo is 40 × 30.*scale one",
        "black.png": "'black.png': the mask covers nothing",
        "broken.png": "truncated",
        ".": "is a folder",
    }.items():
        with pytest.raises(MaskError, match=rf"^regions\[0\]\.mask: .*{message}"):
            Mask.open(tmp_path / name, photo.size, where="regions[0].mask")


def test_the_mask_file_s_own_orientation_is_honoured(tmp_path: Path, photo: Photo) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    stored = np.rot90(disc(radius=5) | (np.mgrid[:30, :40][1] < 4))
    Image.fromarray(stored.astype(np.uint8) * 255).save(tmp_path / "m.png", exif=turned)
    mask = Mask.open(tmp_path / "m.png", photo.size)
    assert mask.size == SIZE and mask.values[:, :4].min() == 1


def test_masks_and_partitions_show_themselves() -> None:
    mask = Mask.from_image(disc())
    assert mask.image.size == (40, 30) and mask.image.getpixel((20, 15)) == 255
    assert mask._repr_png_().startswith(b"\x89PNG")
    partition = Partition.of([mask] * 7)
    assert partition.image.size == (40, 30)
    assert partition._repr_png_().startswith(b"\x89PNG")
