"""Segments keep their pixels exactly, whatever their shape, and are compared without decoding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locstyle import Segment, order_segments
from locstyle.segments import overlaps, points_inside

sizes = st.tuples(st.integers(1, 13), st.integers(1, 17))
unhurried = settings(deadline=None)  # a busy machine is no failure
insides = sizes.flatmap(lambda size: arrays(bool, size))


@unhurried
@given(insides)
def test_a_segment_gives_back_its_pixels(inside: np.ndarray) -> None:
    segment = Segment.of(inside)
    np.testing.assert_array_equal(segment.inside, inside)
    assert segment.area == inside.sum()


@unhurried
@given(insides)
def test_its_code_is_the_one_coco_writes(inside: np.ndarray) -> None:
    from pycocotools import mask

    theirs = mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    assert Segment.of(inside).counts == theirs["counts"]


@unhurried
@given(insides)
def test_its_box_is_the_smallest_around_it(inside: np.ndarray) -> None:
    rows, columns = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0)
    assert Segment.of(inside).box == expected


@unhurried
@given(insides, st.data())
def test_points_are_x_then_y(inside: np.ndarray, data: st.DataObject) -> None:
    y = data.draw(st.integers(0, inside.shape[0] - 1))
    x = data.draw(st.integers(0, inside.shape[1] - 1))
    assert Segment.of(inside).contains(x, y) == inside[y, x]


@unhurried
@given(sizes.flatmap(lambda size: st.tuples(arrays(bool, size), arrays(bool, size))))
def test_overlap_is_intersection_over_union(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = pair
    union = (one | other).sum()
    expected = (one & other).sum() / union if union else 0
    assert Segment.of(one).iou(Segment.of(other)) == pytest.approx(expected)
    np.testing.assert_array_equal(Segment.of(one).joined([Segment.of(other)]).inside, one | other)


@unhurried
@given(
    sizes.flatmap(lambda low: arrays(np.float32, low, elements=st.floats(0, 1, width=32))),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_from_low_agrees_with_a_direct_resize(shares: np.ndarray, size: tuple[int, int]) -> None:
    size = tuple(max(pair) for pair in zip(size, shares.shape, strict=True))
    direct = cv2.resize(shares, size[::-1], interpolation=cv2.INTER_LINEAR)
    differs = Segment.from_low(shares, size).inside != (direct > 0.5)
    assert (np.abs(direct[differs] - 0.5) < 1e-5).all()


def test_numbers_go_by_area_then_from_the_top_left() -> None:
    canvas = np.zeros((4, 8), bool)
    segments = []
    for rows, columns in [
        (slice(3, 4), slice(0, 2)),
        (slice(0, 1), slice(4, 6)),
        (slice(0, 1), slice(0, 2)),
        (slice(1, 3), slice(0, 8)),
    ]:
        inside = canvas.copy()
        inside[rows, columns] = True
        segments.append(Segment.of(inside))
    ordered = order_segments([*segments, Segment.of(canvas)])
    assert [s.box[:2] for s in ordered] == [(0, 1), (0, 0), (4, 0), (0, 3)]


def test_many_are_compared_at_once() -> None:
    left, right = np.zeros((2, 3, 5), bool)
    left[:, :2], right[:, 3:] = True, True
    segments = [Segment.of(left), Segment.of(right)]
    np.testing.assert_array_equal(overlaps(segments, segments), np.eye(2))
    np.testing.assert_array_equal(points_inside(segments, [(1, 2), (4, 0)]), np.eye(2))
    assert points_inside([], [(1, 2)]).shape == (0, 1) and overlaps([], segments).shape == (0, 2)
