from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from locstyle import measure
from locstyle.errors import MaskError

SIDE = 128


def photo(seed: int = 0) -> np.ndarray:
    """Soft coloured shapes, as a photo of hills would be [SIDE, SIDE, 3]."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 8) * 8 + 0.3 * cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(0.5 + 0.2 * soft, 0, 1)


def hatched(picture: np.ndarray, *, phase: float = 0.0) -> np.ndarray:
    """The picture drawn in slanted lines, 8 pixels apart, on yellow paper."""
    y, x = np.mgrid[:SIDE, :SIDE]
    dark = 1 - cv2.GaussianBlur(picture, (0, 0), 2).mean(2)
    ink = np.clip((np.cos((x + y + phase) * np.pi / 4) + 2 * dark - 0.8) * 3, 0, 1)[..., None]
    return ((1 - ink) * (0.95, 0.85, 0.6) + ink * (0.3, 0.1, 0.05)).astype(np.float32)


def disc(radius: float = 40) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    return np.hypot(y, x) < radius


DISTANCES = [measure.colour_distance, measure.texture_distance]


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_picture_is_no_distance_from_itself(distance):
    assert distance(photo(), photo(), disc()) == 0


@pytest.mark.parametrize("distance", [*DISTANCES, measure.edge_agreement, measure.psnr])
def test_measures_of_two_pictures_are_symmetric(distance):
    one, other = photo(0), hatched(photo(1))
    assert distance(one, other, disc()) == pytest.approx(distance(other, one, disc()), rel=1e-5)


def test_equal_pictures_score_best():
    one = photo()
    assert measure.psnr(one, one) == math.inf
    assert measure.ssim_luminance(one, one) == pytest.approx(1)
    assert measure.identical_share(one, one) == 1
    assert measure.edge_agreement(one, one) == pytest.approx(1)
    assert measure.seam_index(one, one, disc()) == 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_integer_pictures_measure_like_their_floats(depth):
    top = np.iinfo(depth).max
    one = (photo(0) * top).round().astype(depth)
    other = (photo(1) * top).round().astype(depth)
    expected = measure.psnr(one / top, other / top)
    assert measure.psnr(one, other) == pytest.approx(expected, rel=1e-4)


def test_psnr_is_the_formula():
    one = np.full((8, 8, 3), 0.5, np.float32)
    assert measure.psnr(one, one + 0.1) == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize("distance", [*DISTANCES, measure.psnr])
def test_what_lies_outside_the_mask_does_not_count(distance):
    one, other, mask = photo(0), hatched(photo(1)), disc()
    changed = np.where(mask[..., None], one, photo(7))
    # texture filters are cut off where they have all but faded, hence not bit for bit
    assert distance(changed, other, mask) == pytest.approx(distance(one, other, mask), rel=1e-2)


def test_every_measure_repeats_itself_exactly():
    one, other = photo(0), hatched(photo(1))
    for distance in (*DISTANCES, measure.ssim_luminance, measure.edge_agreement):
        assert distance(one, other) == distance(one, other)


def test_identical_share_counts_bits_in_every_channel_and_depth():
    one = (np.random.default_rng(0).random((10, 10, 4)) * 65535).astype(np.uint16)
    other = one.copy()
    other[:5, :, 3] ^= 1
    assert measure.identical_share(one, other) == 0.5
    where = np.full((10, 10), 0.999, np.float32)
    where[5:] = 1
    assert measure.identical_share(one, other, where) == 1


def test_identical_share_refuses_another_depth():
    with pytest.raises(ValueError, match="one size and depth"):
        measure.identical_share(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16))


def test_recolouring_gives_the_target_palette_and_leaves_the_outside():
    picture, target, mask = photo(0), hatched(photo(1)), disc()
    painted = measure.recolour(picture, target, mask)
    assert np.array_equal(painted[~mask], picture[~mask])
    for channel in range(3):
        found, wanted = np.sort(painted[mask][:, channel]), np.sort(target[mask][:, channel])
        assert np.allclose(found, wanted, atol=1e-5)


def test_recolouring_takes_a_target_of_another_size():
    painted = measure.recolour(photo(0), hatched(photo(1))[:40, :50], disc())
    assert painted.shape == photo(0).shape


def test_recolouring_closes_a_colour_gap():
    picture, target = photo(0), photo(1) ** 2 * np.float32((1, 0.8, 0.5))
    painted = measure.recolour(picture, target)
    left = measure.colour_distance(painted, target)
    assert left < 0.6 * measure.colour_distance(picture, target)


def test_recolouring_does_not_close_a_texture_gap():
    picture, target = photo(0), hatched(photo(0))
    painted = measure.recolour(picture, target)
    left = measure.texture_distance(painted, target)
    assert left > 0.75 * measure.texture_distance(picture, target)
    assert measure.beyond_recolour(painted, picture, target) == pytest.approx(0, abs=1e-6)


def test_the_truth_closes_the_whole_gap_and_the_same_style_elsewhere_most_of_it():
    picture, target = photo(0), hatched(photo(0))
    assert measure.beyond_recolour(target, picture, target, disc()) == 1
    assert measure.beyond_recolour(hatched(picture, phase=3), picture, target, disc()) > 0.6


def test_blur_is_not_a_style():
    picture, target = photo(0), hatched(photo(0))
    blurred = cv2.GaussianBlur(picture, (0, 0), 2)
    assert measure.beyond_recolour(blurred, picture, target, disc()) < 0.1
    assert measure.texture_distance(blurred, picture, disc()) > 0.2


def test_texture_is_blind_to_hue():
    one = photo(0)
    grey = np.repeat(one.mean(2, keepdims=True), 3, 2)
    assert measure.texture_distance(one, grey) < 0.5 * measure.texture_distance(one, hatched(one))


def test_a_stronger_seam_has_a_higher_index():
    picture, mask = photo(), disc()
    steps = [np.clip(picture + step * mask[..., None], 0, 1) for step in (0, 0.05, 0.1, 0.2, 0.3)]
    found = [measure.seam_index(step, picture, mask) for step in steps]
    assert found[0] == 1
    assert found == sorted(found) and found[-1] > 2 * found[1]


def test_a_soft_change_is_less_of_a_seam_than_a_step():
    picture, mask = photo(), disc()
    changed = np.clip(picture + 0.1, 0, 1)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 4)[..., None]
    gentle = picture * (1 - soft) + changed * soft
    abrupt = np.where(mask[..., None], changed, picture)
    ratio = measure.seam_index(abrupt, picture, mask) / measure.seam_index(gentle, picture, mask)
    assert ratio > 3


def test_a_mask_without_a_border_has_no_seam():
    assert math.isnan(measure.seam_index(photo(0), photo(1), np.ones((SIDE, SIDE))))


def test_edges_agree_through_inverted_contrast_and_not_across_directions():
    y, x = np.mgrid[:SIDE, :SIDE]
    rows, columns = (
        np.repeat(0.5 + 0.3 * np.sin(axis / 4)[..., None], 3, 2).astype(np.float32)
        for axis in (y, x)
    )
    assert measure.edge_agreement(rows, 1 - rows) > 0.95
    assert measure.edge_agreement(rows, columns) < -0.85
    assert abs(measure.edge_agreement(photo(0), photo(1))) < 0.2


def test_too_small_a_mask_has_no_texture_but_the_rest():
    one, other, mask = photo(0), photo(1), disc(6)
    assert math.isnan(measure.texture_distance(one, other, mask))
    assert math.isnan(measure.beyond_recolour(one, one, other, mask))
    for distance in (measure.psnr, measure.colour_distance, measure.edge_agreement):
        assert math.isfinite(distance(one, other, mask))
    assert math.isfinite(measure.seam_index(one, other, mask))


@pytest.mark.parametrize("side", [1, 2, 5, 12])
def test_small_pictures_do_not_crash(side):
    one, other = photo(0)[:side, :side], photo(1)[:side, :side]
    for distance in (*DISTANCES, measure.psnr, measure.ssim_luminance, measure.edge_agreement):
        assert isinstance(distance(one, other), float)


def test_flat_pictures_do_not_crash():
    flat = np.full((64, 64, 3), 0.5, np.float32)
    assert measure.texture_distance(flat, flat) == 0
    assert math.isnan(measure.edge_agreement(flat, flat))
    assert measure.seam_index(flat, flat, disc(20)[32:-32, 32:-32]) == 1


@pytest.mark.parametrize("mask", [np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), np.nan)])
def test_an_empty_or_broken_mask_is_an_error(mask):
    with pytest.raises(MaskError, match="nothing is inside"):
        measure.psnr(photo(), photo(), mask)


def test_a_mask_of_another_size_is_an_error():
    with pytest.raises(MaskError, match=r"got size \(5, 5\) for a picture of \(128, 128\)"):
        measure.colour_distance(photo(), photo(), np.ones((5, 5)))


def test_the_yardstick_is_near_one_for_different_textures():
    found = measure.texture_parts(photo(0), hatched(photo(1)))
    assert all(0.3 < part < 5 for part in found)


def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo, the same as it should be drawn, and a picture of other things drawn so."""
    return photo(0), hatched(photo(0)), hatched(photo(1))


def test_nothing_came_along_in_what_is_known():
    plain, truth, style = case()
    for output in (plain, truth, 0.7 * truth + 0.1):
        found = measure.things_taken(output, style, [truth, plain], disc(60))
        assert found == pytest.approx((0, 0), abs=0.02)


def test_everything_came_along_where_the_style_picture_is_pasted():
    plain, truth, style = case()
    assert measure.things_taken(style, style, [truth, plain], disc(60)) == pytest.approx((1, 1))


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_blend_is_its_share_of_the_style_picture(share):
    soft = [cv2.GaussianBlur(photo(seed), (0, 0), 4) for seed in range(3)]
    plain, truth, style = (0.5 + 0.2 * (one - one.mean()) for one in soft)  # Lab is nearly linear
    found = measure.things_taken(
        share * style + (1 - share) * truth, style, [truth, plain], disc(60)
    )
    assert found.places == pytest.approx(share, abs=0.05)
    assert found.segments == pytest.approx(share**2, abs=0.05)


def test_other_pictures_have_of_it_what_chance_gives():
    plain, truth, style = case()
    found = [
        measure.things_taken(hatched(photo(seed)), style, [truth, plain], disc(60))
        for seed in range(2, 26)
    ]
    places, segments = np.mean(found, 0)
    spread = np.std(found, 0) / math.sqrt(len(found))
    assert abs(places) < 3 * spread[0] < 0.3
    assert abs(segments) < 3 * spread[1] < 0.6


def test_things_in_other_colours_are_seen_by_their_segments():
    plain, truth, style = case()
    dyed = cv2.GaussianBlur(style, (0, 0), 3)[..., ::-1] * (-0.8) + 0.9  # light and hue turned
    found = measure.things_taken(dyed.clip(0, 1), style, [truth, plain], disc(60))
    assert found.places < 0
    assert found.segments > 0.3


def test_things_are_the_same_however_large_the_pictures_are():
    plain, truth, style = case()
    output = 0.5 * style + 0.5 * plain
    small = measure.things_taken(output, style, [truth, plain], disc(60))
    large = [
        cv2.resize(one.astype(np.float32), (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_NEAREST)
        for one in (output, style, truth, plain, disc(60))
    ]
    assert measure.things_taken(*large[:2], large[2:4], large[4]) == pytest.approx(small, abs=0.01)


def test_a_place_too_small_for_a_layout_has_none():
    plain, truth, style = case()
    found = measure.things_taken(truth, style, [plain], disc(6))
    assert all(math.isnan(one) for one in found)
