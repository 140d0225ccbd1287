"""The contact sheet of segments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from locstyle.segments import Segment
from locstyle.segments.sheet import (
    WIDTH,
    colour,
    overlay,
    segment_sheet,
    shrunk,
    spoken_share,
    widest,
)


def box(x0, y0, x1, y1, size=(40, 60)):
    inside = np.zeros(size, bool)
    inside[y0:y1, x0:x1] = True
    return Segment.of(inside)


@given(seed=st.integers(0, 1000))
def test_a_number_stands_inside_its_segment_however_odd_its_shape(seed):
    visible = np.random.default_rng(seed).random((9, 13)) < 0.4
    visible[4, 4] = True
    x, y, radius = widest(visible)
    assert visible[y, x] and radius > 0


def test_a_number_stands_where_the_segment_is_widest_and_off_the_border():
    visible = np.zeros((40, 60), bool)
    visible[:, :3] = True
    visible[10:31, 20:41] = True
    visible[20, 3:20] = True
    assert widest(visible)[:2] == (30, 20)
    assert widest(np.ones((21, 41), bool))[1] == 10


def test_what_others_cover_wholly_has_no_number_and_is_said():
    hidden, left, right = box(0, 0, 50, 40), box(0, 0, 25, 40), box(25, 0, 60, 40)
    drawn, unseen = overlay(Image.new("RGB", (60, 40)), [hidden, left, right])
    assert unseen == [1] and drawn.size == (60, 40)


def test_small_segments_lie_on_top_whatever_their_number():
    small, large = box(10, 10, 30, 30), box(0, 0, 60, 40)
    for segments in ([small, large, large], [large, small]):
        drawn, unseen = overlay(Image.new("RGB", (60, 40)), segments)
        number = 1 + segments.index(small)
        assert unseen == ([3] if len(segments) == 3 else [])
        assert drawn.getpixel((12, 12)) == tuple(c // 2 for c in colour(number))


def test_numbers_can_be_read_on_any_colour():
    for ground in ("white", "black", "gold", "navy"):
        drawn, _ = overlay(Image.new("RGB", (60, 40), ground), [box(0, 0, 60, 40)])
        pixels = np.asarray(drawn).reshape(-1, 3)
        assert (pixels == 255).all(-1).any() and (pixels == 0).all(-1).any()


def test_colours_of_the_first_numbers_differ():
    colours = np.array([[colour(n) for n in range(1, 25)]]) / 255
    lab = rgb2lab(colours)[0]
    for one, other in itertools.combinations(lab, 2):
        assert deltaE_ciede2000(one, other) > 3
    for one, other in itertools.pairwise(lab):
        assert deltaE_ciede2000(one, other) > 25


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (1800, 2600)])
def test_sheets_are_bounded_whatever_the_photo(size):
    segments = [box(0, 0, size[1], size[0], size), box(0, 0, 1, 1, size)]
    sheet = segment_sheet(Image.new("RGB", size[::-1]), segments)
    assert sheet.width < 1400 and sheet.height < 1800


def test_hundreds_of_segments_stay_on_one_bounded_sheet():
    segments = [box(x, y, x + 2, y + 2) for y in range(0, 40, 4) for x in range(0, 60, 4)]
    sheet = segment_sheet(Image.new("RGB", (60, 40)), segments)
    assert len(segments) == 150 and sheet.height < 5000 and sheet.width == WIDTH + 16


@given(seed=st.integers(0, 100), height=st.integers(1, 60), width=st.integers(1, 60))
def test_a_segment_survives_any_change_of_size(seed, height, width):
    inside = np.random.default_rng(seed).random((20, 30)) < 0.02
    inside[3, 4] = True
    assert shrunk(Segment.of(inside), (height, width)).area > 0


def test_shares_are_never_shown_as_nothing():
    shown = [spoken_share(share) for share in (0.5, 0.0012, 0.0004, 1e-7)]
    assert shown == ["50.0%", "0.1%", "0.040%", "<0.001%"]
