"""Segments that lie in others are found with them, and what people ask for comes first."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from locstyle.segments import Segment
from locstyle.segments.nesting import USEFUL, families, parents
from locstyle.segments.segment import containments
from locstyle.segments.sheet import segment_sheet

SIZE = (40, 60)


def box(x0: int, y0: int, x1: int, y1: int) -> Segment:
    inside = np.zeros(SIZE, bool)
    inside[y0:y1, x0:x1] = True
    return Segment.of(inside)


HOUSE, WINDOW, PANE = box(5, 5, 35, 35), box(8, 8, 20, 20), box(9, 9, 12, 12)
TREE, ALL = box(40, 5, 55, 30), box(0, 0, 60, 40)


def test_each_lies_in_the_smallest_that_holds_it() -> None:
    assert parents([HOUSE, WINDOW, PANE, TREE]) == [None, 0, 1, None]
    assert parents([PANE, TREE, WINDOW, HOUSE]) == [2, None, 3, None]


def test_what_is_nearly_the_whole_picture_holds_nothing() -> None:
    assert parents([ALL, HOUSE, WINDOW]) == [None, None, 1]


def test_nine_tenths_are_enough_and_half_is_not() -> None:
    assert parents([box(0, 0, 30, 30), box(21, 0, 31, 10)]) == [None, 0]
    assert parents([box(0, 0, 30, 30), box(25, 0, 35, 10)]) == [None, None]


def test_of_two_alike_the_first_holds_the_other() -> None:
    assert parents([WINDOW, WINDOW, WINDOW]) == [None, 0, 0] and parents([]) == []


def test_families_stand_largest_first_and_hold_their_parts_parts() -> None:
    assert families([ALL, TREE, HOUSE, WINDOW, PANE]) == [[2, 3, 4], [1], [0]]


@given(st.integers(0, 1000), st.integers(0, 12))
def test_everybody_is_in_one_family(seed: int, count: int) -> None:
    dice = np.random.default_rng(seed)
    corners = [np.sort(dice.integers(0, 40, (2, 2)), 0) for _ in range(count)]
    segments = [box(int(a[0]), int(a[1]), int(b[0]) + 1, int(b[1]) + 1) for a, b in corners]
    found = [index for family in families(segments) for index in family]
    assert sorted(found) == [*range(count)]


def test_containment_is_the_share_of_the_first() -> None:
    assert np.allclose(containments([HOUSE, WINDOW]), [[1, 144 / 900], [1, 1]])


def test_the_sheet_shows_the_eight_first_ones_large(monkeypatch) -> None:
    seen: list[list[str]] = []

    def kept(pictures, columns, *, cell):
        seen.append([label for label, _ in pictures])
        return Image.new("RGB", (cell, cell))

    monkeypatch.setattr("locstyle.segments.sheet.contact_sheet", kept)
    strips = [box(40 + 2 * i, 0, 41 + 2 * i, 40 - i) for i in range(10)]
    segment_sheet(Image.new("RGB", SIZE[::-1]), [PANE, *strips, WINDOW, HOUSE])
    large, small = seen
    assert len(large) == USEFUL and large[0].startswith("13: 37.5%")
    assert large[0].endswith("+ 2 in it") and large[1].startswith("2: ")
    assert [label.partition(",")[2] for label in small[:2]] == [" in 13", " in 13"]
    assert len(small) == 2 + 10 + 1 - USEFUL
