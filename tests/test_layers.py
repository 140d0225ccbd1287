"""Layers, masks and pasting part by part: to the bit what planes of the whole photo give."""

from __future__ import annotations

import hashlib
from functools import reduce
from math import ceil, pi
from operator import add

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from locstyle import measure
from locstyle.errors import MaskError, PhotoError
from locstyle.job.paste import Piece, kept, paste
from locstyle.masks import Layers, Mask, shared
from locstyle.photo import Canvas, Photo
from locstyle.photo.canvas import average

sides = st.integers(1, 90)
seeds = st.integers(0, 10**6)


def drawn_masks(seed: int, count: int, size: tuple[int, int]) -> list[Mask]:
    """Boxes, discs, soft spots, a fade over everything, noise: all of them somewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    masks = []
    for _ in range(count):
        (cy, cx), radius = rng.uniform((0, 0), size), rng.uniform(0.5, max(size) / 2)
        away = np.hypot(y - cy, x - cx)
        kinds = (
            away < radius,
            (abs(y - cy) < radius) & (abs(x - cx) < 2 * radius),
            (1 - away / radius).clip(0, 1),
            x / size[1] * 0.999,
            rng.random(size) * (rng.random(size) > 0.7),
            np.full(size, 0.3),
        )
        values = kinds[rng.integers(len(kinds))].astype(np.float32)
        masks.append(Mask(torch.from_numpy(values)))
    return masks


def naive_soften(plane: Tensor, pixels: float) -> Tensor:
    """The whole plane at once."""
    reach = ceil(pixels)
    if reach == 0:
        return plane
    window = 1 + np.cos(pi * np.arange(-reach, reach + 1) / (pixels + 1))
    soft = cv2.sepFilter2D(
        plane.numpy().astype(np.float64), -1, window, window, borderType=cv2.BORDER_REPLICATE
    )
    soft = soft / window.sum() ** 2
    soft[soft > 1 - 1e-9] = 1
    return torch.from_numpy(soft).float()


def naive_planes(masks: list[Mask], widths: list[float]) -> Tensor:
    """All planes of the whole photo at once."""
    rest, owned = torch.ones(masks[0].size), []
    for mask in reversed(masks):
        owned.insert(0, mask.values * rest)
        rest = rest * (1 - mask.values)
    each = zip([rest, *owned], [max(widths), *widths], strict=True)
    soft = torch.stack([naive_soften(plane, width) for plane, width in each])
    return soft / reduce(add, soft)


def drawn_layers(seed: int, size: tuple[int, int]) -> tuple[Layers, Tensor]:
    rng = np.random.default_rng(seed)
    masks = drawn_masks(seed, int(rng.integers(1, 9)), size)
    widths = [float(w) for w in rng.choice([0, 1, 2, 2.5, 7], len(masks)).clip(0, max(size))]
    if rng.random() < 0.5:
        widths = [widths[0]] * len(masks)
    return Layers.of(masks, widths), naive_planes(masks, widths)


def drawn_box(seed: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    rng = np.random.default_rng(seed)
    (y0, y1), (x0, x1) = (sorted(rng.integers(0, side + 1, 2).tolist()) for side in size)
    return x0, y0, x1, y1


@settings(max_examples=150, deadline=None)
@given(seeds, sides, sides)
def test_layers_are_the_partition_to_the_bit(seed: int, height: int, width: int) -> None:
    size = height, width
    layers, planes = drawn_layers(seed, size)
    assert torch.equal(layers.part((0, 0, width, height)).values, planes)
    x0, y0, x1, y1 = box = drawn_box(seed, size)
    assert torch.equal(layers.part(box).values, planes[:, y0:y1, x0:x1])
    assert torch.equal(layers.weight.values, 1 - planes[0])
    for side in (None, 12, max(size)):
        canvas = Canvas.fit(size, size=side, native=32, multiple=8)
        expected = canvas.pad(average(planes, canvas.content))
        assert torch.equal(layers.on(canvas).values, expected), side


def test_layers_of_many_bands_are_the_partition_to_the_bit() -> None:
    size = 700, 330
    for seed in range(3):
        layers, planes = drawn_layers(seed, size)
        assert torch.equal(layers.part((0, 0, 330, 700)).values, planes)
        assert torch.equal(layers.weight.values, 1 - planes[0])
        canvas = Canvas.fit(size, size=None, native=96, multiple=8)
        expected = canvas.pad(average(planes, canvas.content))
        assert torch.equal(layers.on(canvas).values, expected)


def test_supports_are_where_regions_weigh_anything() -> None:
    layers = Layers.of([Mask.box((20, 30, 50, 40), (90, 80)), Mask.everywhere((90, 80))], (3, 0))
    assert layers.supports == ((17, 27, 53, 43), (0, 0, 80, 90))


def test_layers_say_which_mask_or_feather_does_not_fit() -> None:
    one, other = Mask.everywhere((8, 9)), Mask.everywhere((9, 8))
    with pytest.raises(MaskError, match=r"regions\[1\]\.mask is 8 × 9 but the photo is 9 × 8"):
        Layers.of([one, other])
    with pytest.raises(MaskError, match=r"regions\[1\]: feather: got 10; give 0 to 9 pixels"):
        Layers.of([one, one], [0, 10])


@settings(max_examples=150, deadline=None)
@given(seeds, sides, sides)
def test_masks_hold_a_part_and_mean_the_whole(seed: int, height: int, width: int) -> None:
    size = height, width
    one, other = drawn_masks(seed, 2, size)
    a, b = one.values, other.values
    assert torch.equal((one | other).values, torch.maximum(a, b))
    assert torch.equal((one & other).values, torch.minimum(a, b))
    assert torch.equal((one - other).values, torch.minimum(a, 1 - b))
    assert torch.equal((~one).values, 1 - a)
    for threshold in (-1, 0, 0.4, 1):
        assert torch.equal(one.above(threshold).values, (a > threshold).float())
    assert torch.equal(one.feather(min(2, *size)).values, naive_soften(a, min(2, *size)))
    x0, y0, x1, y1 = box = drawn_box(seed, size)
    assert torch.equal(one.part(box), a[y0:y1, x0:x1])
    assert torch.equal(one.crop(box).values, a[y0:y1, x0:x1])
    assert one.area == pytest.approx(float(a.double().mean()), abs=1e-12)
    whole = f"{size} ".encode() + a.numpy().tobytes()
    assert one.sha256 == hashlib.sha256(whole).hexdigest()
    assert one.is_hard == bool(((a == 0) | (a == 1)).all())
    second = torch.stack([a, b]).sort(0).values[0]
    assert shared([one, other]) == pytest.approx(float(second.double().mean()), abs=1e-9)


def test_a_mask_holds_no_more_than_its_box() -> None:
    inside = np.zeros((400, 600), np.float32)
    inside[100:110, 200:240] = 1
    mask = Mask(torch.from_numpy(inside))
    assert mask.patch.untyped_storage().nbytes() == 400 and mask.bounds == (200, 100, 240, 110)
    assert mask.crop((230, 0, 600, 105)).bounds == (0, 100, 10, 105)
    assert mask.crop((0, 0, 50, 50)).bounds == (0, 0, 0, 0)


@pytest.fixture(params=[(1, np.uint8), (2, np.uint16), (3, np.uint8), (4, np.uint16)], ids=str)
def photo(request: pytest.FixtureRequest) -> Photo:
    channels, kind = request.param
    rng = np.random.default_rng(3)
    return Photo(rng.integers(0, np.iinfo(kind).max, (530, 610, channels), kind, endpoint=True))


def test_a_photo_comes_to_its_canvas_as_if_it_were_all_in_floats(photo: Photo) -> None:
    canvas = Canvas.fit(photo.size, size=None, native=128, multiple=16)
    whole = F.interpolate(
        photo.rgb()[None], canvas.content, mode="bicubic", antialias=True, align_corners=False
    )
    assert torch.equal(photo.on(canvas), canvas.pad(whole[0].clamp(0, 1)))


@pytest.mark.parametrize("native", [64, 900])
def test_strips_paste_what_the_whole_would(photo: Photo, native: int) -> None:
    canvas = Canvas.fit(photo.size, size=None, native=native, multiple=16)
    draw = torch.Generator().manual_seed(0)
    work = torch.rand(3, *canvas.padded, generator=draw) * 1.4 - 0.2
    spots = [Mask.box((3, 5, 40, 90), photo.size), Mask.box((500, 300, 590, 530), photo.size)]
    weight = Layers.of(spots, 4).weight
    whole = F.interpolate(
        work[None, :, : canvas.content[0], : canvas.content[1]],
        photo.size,
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    expected = naive_paste(photo, whole[0].clamp(0, 1), weight.values)
    result = paste(photo, [Piece(canvas, work, weight)])
    np.testing.assert_array_equal(result.pixels, expected)
    np.testing.assert_array_equal(
        photo.pasted(whole[0].clamp(0, 1), weight.values).pixels, expected
    )
    outside = weight.values.numpy() == 0
    found = kept(photo, result, weight)
    assert (
        found.outside_identical
        == 1
        == measure.identical_share(photo.widened(result), result.pixels, outside)
    )
    change = (result.rgb() - photo.rgb()).abs().mean(0)[weight.values > 0].mean()
    assert found.inside_change == pytest.approx(float(change), rel=1e-4)


def naive_paste(photo: Photo, styled: Tensor, weight: Tensor) -> np.ndarray:
    channels = photo.pixels.shape[2]
    pixels = photo.pixels[..., {1: [0] * 3, 2: [0, 0, 0, 1]}.get(channels, range(channels))]
    own, share = pixels[..., :3].astype(np.float32), weight.numpy()[..., None]
    full = float(np.iinfo(pixels.dtype).max)
    blend = own + (styled.permute(1, 2, 0).numpy() * full - own) * share
    np.copyto(pixels[..., :3], np.rint(blend).astype(pixels.dtype), where=share > 0)
    return pixels


def test_what_was_kept_is_counted_on_the_pixels(photo: Photo) -> None:
    weight = Mask.box((10, 10, 20, 20), photo.size)
    altered = photo.widened(Photo(np.zeros((1, 1, 3), np.uint8))).copy()
    altered[300:310, 0] ^= 1
    share = kept(photo, Photo(altered), weight).outside_identical
    assert share == pytest.approx(1 - 10 / (530 * 610 - 100), abs=1e-12)
    assert kept(photo, photo, Mask.everywhere(photo.size)).outside_identical is None


def test_nothing_is_pasted_of_a_picture_that_is_not_finite(photo: Photo) -> None:
    canvas = Canvas.fit(photo.size, size=None, native=64, multiple=16)
    work = torch.full((3, *canvas.padded), torch.nan)
    with pytest.raises(PhotoError, match="not finite; nothing was pasted"):
        paste(photo, [Piece(canvas, work, Mask.everywhere(photo.size))])
