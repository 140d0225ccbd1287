"""Refinements: what grows contains what was, set operations obey their laws, softness survives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locstyle import Mask, MaskError, Partition, Photo
from locstyle.selection import REFINEMENTS

SIZE = (19, 26)
shares = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
soft = arrays(np.float32, SIZE, elements=shares).map(lambda v: Mask(torch.from_numpy(v)))
hard = arrays(bool, SIZE).map(lambda v: Mask(torch.from_numpy(v.astype(np.float32))))
masks = soft | hard
distances = st.floats(0, 12)
unhurried = settings(deadline=None, max_examples=50)  # a busy machine is no failure


def at_most(one: Mask, other: Mask) -> bool:
    return bool((one.values <= other.values + 1e-6).all())


def same(one: Mask, other: Mask) -> bool:
    return torch.allclose(one.values, other.values, atol=1e-6)


def disc(size: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@unhurried
@given(masks, distances)
def test_grown_then_shrunk_contains_the_mask(mask: Mask, pixels: float) -> None:
    assert at_most(mask, mask.grow(pixels).shrink(pixels))
    assert at_most(mask.shrink(pixels).grow(pixels), mask)


@unhurried
@given(masks, distances)
def test_shrinking_is_growing_the_outside(mask: Mask, pixels: float) -> None:
    assert same(mask.shrink(pixels), ~(~mask).grow(pixels))


@unhurried
@given(masks, distances, distances)
def test_more_growth_reaches_further(mask: Mask, one: float, other: float) -> None:
    less, more = sorted((one, other))
    if mask.values.unique().numel() > 2:  # sums of small discs are only nearly ordered
        more = less + 2 if less + 2 > more else more
    assert at_most(mask.grow(less), mask.grow(more))


@pytest.mark.parametrize("soft_edge", [1.0, 0.5])
@pytest.mark.parametrize("pixels", [0.5, 1, 3, 7.5, 20])
def test_growth_is_euclidean(pixels: float, soft_edge: float) -> None:
    values = np.zeros((61, 61), np.float32)
    values[30, 30] = soft_edge
    values[0, 0] = 1e-3  # a far-off faint pixel makes the mask a soft one
    grown = Mask(torch.from_numpy(values)).grow(pixels).values.numpy() >= soft_edge
    slack = 0 if pixels < 9 else 2  # larger discs are sums of smaller ones
    assert not (grown & ~disc((61, 61), (30, 30), pixels + 1e-6)).any()
    assert not (~grown & disc((61, 61), (30, 30), pixels - slack)).any()


def test_nothing_shrinks_away_from_the_picture_s_border() -> None:
    assert same(Mask.everywhere(SIZE).shrink(5), Mask.everywhere(SIZE))
    half = Mask.box((0, 0, 10, 19), SIZE)
    assert half.shrink(3).bounds == (0, 0, 7, 19)


@unhurried
@given(masks, masks, masks)
def test_the_laws_of_sets(a: Mask, b: Mask, c: Mask) -> None:
    assert same(a | b, b | a) and same(a & b, b & a)
    assert same((a | b) | c, a | (b | c)) and same(a & (b | c), (a & b) | (a & c))
    assert same(~(a | b), ~a & ~b) and same(a - b, a & ~b) and same(~~a, a)
    assert at_most(a & b, a) and at_most(a, a | b)


@unhurried
@given(st.lists(masks, min_size=1, max_size=3), distances)
def test_refined_masks_still_make_a_partition(some: list[Mask], pixels: float) -> None:
    refined = [mask.grow(pixels).fill().smooth(2) for mask in some]
    total = Partition.of(refined).values.sum(0)
    assert torch.allclose(total, torch.ones(()), atol=2e-6)


@unhurried
@given(masks)
def test_filling_adds_only_and_once_is_enough(mask: Mask) -> None:
    filled = mask.fill()
    assert at_most(mask, filled) and same(filled.fill(), filled)


def test_holes_are_filled_and_soft_outer_edges_kept() -> None:
    ring = disc((41, 41), (20, 20), 15) & ~disc((41, 41), (20, 20), 6)
    mask = Mask.from_image(ring).feather(3)
    filled = mask.fill().values.numpy()
    assert (filled[disc((41, 41), (20, 20), 9)] == 1).all()
    outer = ~disc((41, 41), (20, 20), 12)
    np.testing.assert_array_equal(filled[outer], mask.values.numpy()[outer])


def test_a_bay_open_to_the_border_is_no_hole() -> None:
    bay = Mask.everywhere(SIZE) - Mask.box((5, 0, 8, 10), SIZE)
    assert same(bay.fill(), bay)


@unhurried
@given(masks, st.integers(1, 4))
def test_the_largest_pieces_are_pieces_of_the_mask(mask: Mask, count: int) -> None:
    kept = mask.largest(count)
    assert at_most(kept, mask) and at_most(mask.largest(1), mask.largest(count + 1))
    assert bool(((kept.values == mask.values) | (kept.values == 0)).all())


@pytest.mark.parametrize("feather", [0, 2])
def test_the_largest_piece_keeps_its_soft_rim(feather: float) -> None:
    large, small = Mask.box((2, 2, 12, 15), SIZE), Mask.box((19, 6, 23, 10), SIZE)
    both = (large | small).feather(feather)
    assert same(both.largest(), large.feather(feather))
    assert same(both.largest(2), both)


def test_smoothing_takes_teeth_and_leaves_straight_edges() -> None:
    straight = Mask.box((0, 0, 40, 30), (60, 40))
    ragged = straight.values.clone()
    ragged[30, 6:34:3] = 1
    ragged[10, 10] = 0
    assert same(Mask(ragged).smooth(3), straight) and same(straight.smooth(3), straight)


@unhurried
@given(hard, st.floats(0, 9))
def test_smoothing_keeps_hard_masks_hard(mask: Mask, pixels: float) -> None:
    values = mask.smooth(pixels).values
    assert bool(((values == 0) | (values == 1)).all())


def edge_photo(kind: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    """A bright noisy disc on dark noise, and where it is."""
    inside = disc((160, 200), (80, 90), 50)
    noise = np.random.default_rng(0).normal(0, 6, (*inside.shape, 3))
    full = np.iinfo(kind).max
    levels = np.where(inside[..., None], [180, 140, 90], [60, 90, 120]) + noise
    return (levels.clip(0, 255) / 255 * full).astype(kind), inside


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_snapping_draws_a_jagged_mask_to_the_photo_s_edge(kind: type) -> None:
    photo, inside = edge_photo(kind)
    blocky = cv2.resize(
        cv2.resize(inside.astype(np.float32), (25, 20)), (200, 160), interpolation=cv2.INTER_NEAREST
    )
    jagged = Mask.from_image(blocky > 0.5)
    before = iou(jagged.values.numpy() > 0.5, inside)
    after = iou(jagged.snap(photo, 8).values.numpy() > 0.5, inside)
    assert before < 0.95 and after > 0.985


def test_snapping_far_from_edges_changes_nothing_and_tiles_leave_no_seams() -> None:
    photo, inside = edge_photo()
    mask = Mask.from_image(inside)
    snapped = mask.snap(Photo(photo), 4).values.numpy()
    far = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5) > 10
    assert (snapped[far] == 0).all()
    large = np.tile(photo, (4, 3, 1))
    one = Mask.from_image(np.tile(inside, (4, 3))).snap(large, 4).values.numpy()
    np.testing.assert_allclose(one[160:320, 200:400], one[320:480, 200:400], atol=1e-5)


def test_every_refinement_of_the_grammar_is_a_method() -> None:
    for name in REFINEMENTS:
        assert callable(getattr(Mask, name)), name


@pytest.mark.parametrize("name", ["grow", "shrink", "smooth", "feather"])
@pytest.mark.parametrize("pixels", [-1, float("nan"), float("inf"), 27])
def test_distances_that_are_none(name: str, pixels: float) -> None:
    with pytest.raises(MaskError, match=f"{name}: got .*give 0 to 26 pixels"):
        getattr(Mask.everywhere(SIZE), name)(pixels)


def test_masks_of_other_photos_are_refused() -> None:
    one, turned = Mask.everywhere((4, 6)), Mask.everywhere((6, 4))
    with pytest.raises(MaskError, match="turned by a quarter"):
        one | turned
    with pytest.raises(MaskError, match="turned by a quarter"):
        one.snap(np.zeros((6, 4, 3), np.uint8))
    with pytest.raises(MaskError, match="largest: got 0"):
        one.largest(0)
