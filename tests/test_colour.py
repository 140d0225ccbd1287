"""Colour means the same whatever a picture's numbers are in: one door in, one out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from profiles import (
    ADOBE,
    BROKEN,
    DOT_GAIN,
    GREY,
    ONE_WAY,
    P3,
    PROPHOTO,
    SRGB,
    TABLES,
    WIDE,
    converted,
    muted,
)

import locstyle as ls
from locstyle.files import bounds
from locstyle.photo import Photo
from locstyle.photo import icc as profiles
from locstyle.photo.colour import ByTable, space_of

ALL = {**WIDE, "a table of light": TABLES}


def noise(size: tuple[int, int], channels: int = 3, depth: int = 8) -> NDArray[Any]:
    dtype = np.uint8 if depth == 8 else np.uint16
    drawn = np.random.default_rng(0).integers(0, 2**depth, (*size, channels))
    return drawn.astype(dtype)


def in_profile(pixels: NDArray[np.uint8], icc: bytes) -> Photo:
    """What sRGB pixels show, in a profile's numbers."""
    return Photo(np.array(converted(Image.fromarray(pixels), SRGB, icc)), icc=icc)


# In


@pytest.mark.parametrize("name", ALL)
def test_colours_are_what_littlecms_says(name: str) -> None:
    pixels = noise((40, 50))
    expected = np.asarray(converted(Image.fromarray(pixels), ALL[name], SRGB)) / 255
    found = Photo(pixels, icc=ALL[name]).rgb().permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 0.8 / 255  # littleCMS rounds to half a value


@pytest.mark.parametrize("icc", [None, SRGB, profiles.write("same", profiles.SRGB)])
def test_srgb_s_numbers_stay_as_they_are(icc: bytes | None) -> None:
    for depth in (8, 16):
        photo = Photo(noise((9, 7), 3, depth), icc=icc)
        expected = photo.pixels.astype(np.float32) / (2**depth - 1)
        assert photo.space is None
        assert np.array_equal(photo.rgb().permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("name", WIDE)
def test_sixteen_bits_are_not_banded(name: str) -> None:
    ramp = np.arange(20000, 52768, dtype=np.uint16).reshape(1, -1, 1).repeat(3, 2)
    light = Photo(ramp, icc=WIDE[name]).rgb()[1, 0].double()
    steps = light.diff() * 65535
    assert steps.min() > 0.3 and steps.max() < 1.7  # every value is a step of its own


@pytest.mark.parametrize(("icc", "power"), [(GREY, 1.8), (DOT_GAIN, 1.75)])
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_means_what_its_profile_says(icc: bytes, power: float, depth: int) -> None:
    photo = Photo(noise((5, 6), 1, depth), icc=icc)
    light = (photo.pixels[..., 0] / (2**depth - 1)) ** power
    expected = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    for channel in photo.rgb().numpy():
        assert np.abs(channel - expected).max() < 1e-3


def test_a_grey_picture_may_have_a_profile_for_rgb() -> None:
    grey = Photo(noise((5, 6), 1), icc=ADOBE)
    three = Photo(grey.pixels.repeat(3, 2), icc=ADOBE)
    assert torch.equal(grey.rgb(), three.rgb())


def test_a_profile_that_is_a_table_goes_by_littlecms() -> None:
    pixels = muted((40, 50))
    photo = Photo(pixels, icc=ONE_WAY)
    expected = np.asarray(converted(Image.fromarray(pixels), ONE_WAY, SRGB)) / 255
    assert isinstance(photo.space, ByTable)
    assert np.abs(photo.rgb().permute(1, 2, 0).numpy() - expected).max() < 1.1 / 255
    deep = Photo(pixels.astype(np.uint16) * 257, icc=ONE_WAY)
    assert float((deep.rgb() - photo.rgb()).abs().max()) < 4 / 255


@pytest.mark.parametrize("name", BROKEN)
def test_a_profile_that_cannot_be_used_warns_once_and_is_kept(name: str, tmp_path: Path) -> None:
    pixels = noise((6, 5))
    photo = Photo(pixels, icc=BROKEN[name], path=tmp_path / "a.png")
    with pytest.warns(UserWarning, match=r"a\.png: its colour profile cannot be used") as told:
        assert np.allclose(photo.rgb().permute(1, 2, 0), pixels / 255)
        pasted = photo.pasted(photo.rgb(), torch.ones(6, 5))
    assert len(told) <= 2  # that of a grey one is about the result, too
    assert np.array_equal(pasted.pixels, pixels)


# Out


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", ALL)
def test_what_goes_in_comes_out(name: str, depth: int) -> None:
    eight = in_profile(muted((30, 40)), ALL[name]).pixels
    pixels = eight if depth == 8 else eight.astype(np.uint16) * 257 + 31
    photo = Photo(pixels, icc=ALL[name])
    again = photo.pasted(photo.rgb(), torch.ones(30, 40))
    assert again.icc == photo.icc
    assert np.abs(again.pixels.astype(int) - pixels).max() <= (0 if depth == 8 else 2)


def test_a_table_of_one_direction_is_undone_by_search() -> None:
    photo = Photo(muted((30, 40)), icc=ONE_WAY)
    again = photo.pasted(photo.rgb(), torch.ones(30, 40))
    apart = np.abs(again.pixels.astype(int) - photo.pixels)
    assert apart.max() <= 4 and apart.mean() < 1


@pytest.mark.parametrize("name", WIDE)
def test_what_is_pasted_looks_alike_in_every_profile(name: str) -> None:
    styled = torch.from_numpy(muted((30, 40), 5) / np.float32(255)).permute(2, 0, 1)
    photo = in_profile(muted((30, 40)), WIDE[name])
    deep = Photo(photo.pixels.astype(np.uint16) * 257, icc=photo.icc)
    for given, apart in ((photo, 3 / 255), (deep, 0.02 / 255)):
        seen = given.pasted(styled, torch.ones(30, 40)).rgb()
        assert float((seen - styled).abs().max()) < apart


@pytest.mark.parametrize("icc", [*ALL.values(), ONE_WAY])
@pytest.mark.parametrize("depth", [8, 16])
def test_what_is_not_touched_is_not_converted(icc: bytes, depth: int) -> None:
    photo = Photo(noise((20, 30), 4, depth), icc=icc)
    weight = torch.zeros(20, 30)
    weight[5:9, 11:17] = 0.5
    result = photo.pasted(torch.rand(3, 20, 30), weight)
    outside = weight.numpy() == 0
    assert np.array_equal(result.pixels[outside], photo.pixels[outside])
    assert np.array_equal(result.pixels[..., 3], photo.pixels[..., 3])
    assert result.icc == icc


@pytest.mark.parametrize("icc", [GREY, DOT_GAIN])
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_that_becomes_rgb_keeps_its_meaning(icc: bytes, depth: int) -> None:
    photo = Photo(noise((8, 9), 2, depth), icc=icc)
    styled = torch.rand(3, 8, 9) * 0.8 + 0.1
    weight = torch.zeros(8, 9)
    weight[:4] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = photo.pasted(styled, weight)
    assert (result.pixels[4:, :, :3] == photo.pixels[4:, :, :1]).all()
    assert float((result.rgb()[:, 4:] - photo.rgb()[:, 4:]).abs().max()) < 2e-4
    assert float((result.rgb()[:, :4] - styled[:, :4]).abs().max()) < 2 / 255
    assert result.icc is not None and result.icc[16:20] == b"RGB "


# Every other door


@pytest.mark.parametrize("name", WIDE)
def test_selections_by_colour_and_light_mean_the_same(name: str) -> None:
    pixels = muted((60, 60))
    pixels[20:40, 20:40] = (170, 90, 80)
    plain, other = Photo(pixels), in_profile(pixels, WIDE[name])
    for selection in ("color:#aa5a50~12", "color:30,30~12", "light:0.3..0.5", "color:30,30|snap:3"):
        same = ls.select_mask(plain, selection).values, ls.select_mask(other, selection).values
        assert float((same[0] - same[1]).abs().mean()) < 0.02, selection


@pytest.mark.parametrize("name", WIDE)
def test_pictures_are_shown_and_learned_as_they_are_seen(name: str) -> None:
    pixels = muted((64, 64))
    photo = in_profile(pixels, WIDE[name])
    shown = photo.srgb
    assert shown.mode == "RGB" and "icc_profile" not in shown.info
    assert np.abs(np.asarray(shown).astype(int) - pixels).max() <= 3
    image = photo.image
    assert np.array_equal(np.asarray(image), photo.pixels) and image.info["icc_profile"]
    learned = np.asarray(ls.style_picture(image))
    assert np.abs(learned.astype(int) - pixels).max() <= 3
    assert np.array_equal(learned, np.asarray(ls.Reference.of(image).image))


def test_srgb_keeps_alpha_and_mode() -> None:
    for channels, mode in ((1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")):
        photo = Photo(noise((4, 5), channels))
        assert photo.srgb.mode == mode
        assert np.array_equal(np.asarray(photo.srgb).reshape(4, 5, channels), photo.pixels)
    clear = Photo(noise((4, 5), 4, 16), icc=P3)
    assert np.array_equal(np.asarray(clear.srgb)[..., 3], (clear.pixels[..., 3] + 128.0) // 257)
    grey = Photo(noise((4, 5), 2), icc=GREY)
    assert grey.srgb.mode == "RGBA"


def test_style_pictures_hide_what_is_transparent() -> None:
    pixels = noise((20, 20), 4)
    pixels[..., 3] = 255
    pixels[:10, :, 3] = 0
    pixels[10:, :, :3] = (200, 100, 50)
    seen = ls.style_picture(Image.fromarray(pixels))
    assert seen.mode == "RGB" and seen.getcolors() == [(400, (200, 100, 50))]
    assert np.array_equal(seen, ls.Reference.of(Image.fromarray(pixels)).image)
    assert np.array_equal(ls.style_picture(seen), seen)
    pixels[..., 3] = 0
    with pytest.raises(ls.StyleError, match="wholly transparent"):
        ls.style_picture(Image.fromarray(pixels))


def test_a_profile_is_read_only_as_far_as_it_may_be() -> None:
    with pytest.raises(ValueError, match="not an ICC profile"):
        space_of(P3 + bytes(bounds.PROFILE_BYTES), 3)
    assert space_of(P3 + bytes(1 << 20), 3) is not None


@pytest.mark.parametrize("icc", [P3, ADOBE, PROPHOTO, TABLES])
def test_written_profiles_say_the_same(icc: bytes) -> None:
    first = profiles.read(icc)
    assert first is not None
    second = profiles.read(profiles.write("again", first))
    assert second is not None and np.allclose(first.matrix, second.matrix, atol=2e-5)
    ramp = torch.linspace(0, 1, 1000, dtype=torch.float64)
    for one, other in zip(first.curves, second.curves, strict=True):
        assert torch.allclose(one.light(ramp), other.light(ramp), atol=2e-4)
        assert torch.allclose(one.light(one.values(ramp)), ramp, atol=1e-6)
