"""Masks of what is drawn by hand: strokes and lassos, at the photo's size."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import locstyle as ls
from locstyle.masks.drawn import drawn_lasso, drawn_strokes
from locstyle.selection import Stroke

SIZE = (40, 60)
points = st.tuples(st.floats(-30, 90), st.floats(-30, 70))
lines = st.lists(points, min_size=1, max_size=4).map(tuple)


def drawn(*strokes: Stroke, size: tuple[int, int] = SIZE) -> np.ndarray:
    return drawn_strokes(strokes, size, where="mask").values.numpy()


def distance(line: tuple[tuple[float, float], ...], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Of each pixel's middle to the nearest point of a line: what a stroke is, by definition."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    away = np.full(size, np.inf)
    for (ax, ay), (bx, by) in zip(line, line[1:] or line, strict=False):
        square = (bx - ax) ** 2 + (by - ay) ** 2
        share = (((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / (square or 1)).clip(0, 1)
        away = np.minimum(away, np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay)))
    return away


@settings(deadline=None, max_examples=60)
@given(line=lines, radius=st.floats(0.8, 20))
def test_a_stroke_is_all_within_its_radius(line, radius):
    away = distance(line)
    sure = abs(away - radius) > 1e-6  # on the edge, rounding decides
    assert np.array_equal(drawn(Stroke(radius, line))[sure], (away <= radius)[sure])


def beads(line: tuple, radii: tuple[float, ...]) -> np.ndarray:
    """How far each pixel's middle is inside of discs that follow one another along a line, the
    radius changing evenly: what a pen's stroke is, by definition."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = np.full(SIZE, -np.inf)
    ends = list(zip(line, radii, strict=True))
    for ((ax, ay), ar), ((bx, by), br) in zip(ends, ends[1:] or ends, strict=False):
        for share in np.linspace(0, 1, 400):
            at = ax + share * (bx - ax), ay + share * (by - ay)
            away = np.hypot(x - at[0], y - at[1])
            inside = np.maximum(inside, ar + share * (br - ar) - away)
    return inside


pressed = st.lists(
    st.tuples(st.tuples(st.floats(-10, 70), st.floats(-10, 50)), st.floats(0.8, 15)),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=25)
@given(spots=pressed, softness=st.sampled_from([0.0, 0.4, 1.0]))
def test_a_pens_stroke_is_as_wide_as_it_was_pressed(spots, softness):
    line, radii = (tuple(values) for values in zip(*spots, strict=True))
    inside = beads(line, radii)
    found = drawn(Stroke(9, line, softness, radii=radii))
    if not softness:
        sure = abs(inside) > 0.02
        assert np.array_equal((found == 1)[sure], (inside > 0)[sure])
    else:  # the edge lies within the radius, up to the step that it is drawn in
        assert not found[inside < -0.15 * softness * max(radii) - 1.5].any()
        assert (found[inside > 1.15 * softness * max(radii) + 1.5] == 1).all()


@settings(deadline=None, max_examples=25)
@given(line=lines, radius=st.floats(0.8, 20), erases=st.booleans())
def test_a_pen_pressed_evenly_draws_as_a_mouse_does(line, radius, erases):
    ground = Stroke(30, ((20.0, 20.0),))
    even = Stroke(7, line, erases=erases, radii=(radius,) * len(line))
    assert np.array_equal(drawn(ground, even), drawn(ground, Stroke(radius, line, erases=erases)))


def test_a_pens_soft_eraser_takes_nothing_away_twice():
    line, wide = tuple((float(x), 20.0) for x in range(5, 56, 5)), tuple(range(4, 15))
    found = drawn(Stroke(60, ((30.0, 20.0),)), Stroke(9, line, 1.0, erases=True, radii=wide))
    drawn_alone = drawn(Stroke(9, line, 1.0, radii=wide))
    assert abs(found - (1 - drawn_alone)).max() < 1e-6


@settings(deadline=None, max_examples=30)
@given(line=lines, radius=st.floats(2, 20), softness=st.floats(0.1, 1))
def test_a_soft_stroke_falls_off_evenly(line, radius, softness):
    away = distance(line)
    found = drawn(Stroke(radius, line, softness))
    meant = ((radius - away) / (radius * softness)).clip(0, 1)
    # The edge begins at the middles of pixels, up to a pixel's diagonal away from the line's own.
    assert abs(found - meant).max() <= 1.45 / (radius * softness) + 1e-5
    assert (found[away <= radius - radius * softness - 1e-6] == 1).all()


@settings(deadline=None, max_examples=30)
@given(
    strokes=st.lists(st.builds(Stroke, st.floats(0.8, 20), lines, erases=st.booleans()), max_size=5)
)
def test_strokes_are_drawn_and_erased_in_order(strokes):
    meant = np.zeros(SIZE, bool)
    for stroke in strokes:
        alone = drawn(Stroke(stroke.radius, stroke.points)) > 0
        meant = meant & ~alone if stroke.erases else meant | alone
    assert np.array_equal(drawn(*strokes) > 0, meant)


def test_a_soft_eraser_takes_away_softly():
    line = ((5.0, 20.0), (55.0, 20.0))
    found = drawn(Stroke(15, line), Stroke(10, line, 1.0, erases=True))
    column = found[:, 30]
    assert column[19] < 0.1 and column[8] == 1 and 0.4 < column[14] < 0.6


@pytest.mark.parametrize("radius", [1e-6, 0.1, 0.5])
@pytest.mark.parametrize("softness", [0, 1])
def test_the_thinnest_line_is_a_line(radius, softness):
    found = drawn(Stroke(radius, ((3.0, 3.0), (50.0, 30.0)), softness)) == 1
    assert found.any(0)[4:49].all() and found.sum() < 130


def test_extreme_numbers_are_drawn_or_refused():
    for radius in (5e-324, 1e-9, 1e6):
        for softness in (0, 5e-324, 1e-3, 1):
            for far in (5e-324, 1e-300, 1e6):
                line = ((far, -far), (0.0, far), (far, far), (far, far))
                try:
                    found = drawn(Stroke(radius, line, softness))
                except ls.MaskError as error:
                    assert "too much is drawn" in str(error)
                else:
                    assert found.shape == SIZE and np.isfinite(found).all()


@settings(deadline=None, max_examples=60)
@given(outline=st.lists(points, min_size=3, max_size=6))
def test_a_lasso_is_what_an_odd_number_of_crossings_separates_from_outside(outline):
    found = drawn_lasso(outline, SIZE, where="mask").values.numpy() > 0
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    meant, sure = np.zeros(SIZE, bool), np.ones(SIZE, bool)
    for (ax, ay), (bx, by) in zip(outline, outline[1:] + outline[:1], strict=True):
        crosses = (ay <= y) != (by <= y)
        at = ax + (y - ay) / (by - ay if abs(by - ay) > 1e-9 else 1) * (bx - ax)
        meant ^= crosses & (at <= x)
        sure &= ~crosses | (abs(at - x) > 1e-6)
    assert np.array_equal(found[sure], meant[sure])


def test_what_lies_outside_the_photo_covers_nothing_and_says_so(tmp_path):
    photo = ls.Photo.from_image(np.full((*SIZE, 3), 9, np.uint8))
    for text in ("brush:3:-50,-50", "lasso:90,0;99,0;99,9", "brush:5:9,9/!50:9,9"):
        with pytest.raises(ls.MaskError, match="covers nothing"):
            ls.select_mask(photo, text)
    mask = ls.select_mask(photo, "brush:5:-2,10;70,10 + lasso:0,30;9,30;9,40;0,40")
    assert mask.bounds == (0, 5, 60, 40) and mask.is_hard


def test_only_the_box_around_a_stroke_is_held():
    mask = drawn_strokes([Stroke(9, ((500.0, 300.0),))], (8000, 12000), where="mask")
    assert mask.bounds == (491, 291, 509, 309) and mask.patch.numel() == 18 * 18


def test_a_long_drawing_on_a_large_photo_takes_a_moment():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 60, (4000, 2)), 0) % (8000, 12000)
    line = tuple((float(x), float(y)) for y, x in walk)
    start = time.perf_counter()
    drawn_strokes(
        [Stroke(40, line[i : i + 40]) for i in range(0, 4000, 40)], (8000, 12000), where="m"
    )
    assert time.perf_counter() - start < 60


def test_too_much_is_refused_before_it_is_drawn():
    up_and_down = tuple((float(x), 0.0 if x % 2 else 200_000.0) for x in range(1000))
    with pytest.raises(ls.MaskError, match="mask: too much is drawn in one selection"):
        drawn_strokes([Stroke(1, up_and_down)], (200_000, 1000), where="mask")
