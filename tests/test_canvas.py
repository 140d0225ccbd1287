"""The working size and the way back: aspect, area, padding, and sums that stay 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locstyle.errors import RecipeError
from locstyle.photo.canvas import Canvas, average


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 120 + 0 * x], -1).astype(np.uint8)


sides = st.integers(1, 5000)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(sides, sides),
    st.one_of(st.none(), st.integers(1, 1024), st.tuples(st.integers(1, 900), st.integers(1, 900))),
    st.sampled_from([(64, 8), (512, 64), (768, 64), (100, 16)]),
)
def test_canvas_keeps_aspect_and_area(
    photo: tuple[int, int], size: Any, native: tuple[int, int]
) -> None:
    side, multiple = native
    canvas = Canvas.fit(photo, size=size, native=side, multiple=multiple)
    for content, padded in zip(canvas.content, canvas.padded, strict=True):
        assert padded % multiple == 0 and 0 <= padded - content < multiple and content >= 1
    # Aspect is kept: one scale explains both sides, rounded to whole pixels, at least one.
    low = max((c - 0.5) / p if c > 1 else 0 for c, p in zip(canvas.content, photo, strict=True))
    high = min((c + 0.5) / p for c, p in zip(canvas.content, photo, strict=True))
    assert low <= high + 1e-9
    if isinstance(size, tuple):
        assert canvas.content[0] <= max(1, size[0]) and canvas.content[1] <= max(1, size[1])
    else:
        wanted = (size or side) ** 2
        area = canvas.padded[0] * canvas.padded[1]
        assert area <= (wanted**0.5 + multiple) ** 2 * 2
        if min(canvas.content) >= multiple:
            assert abs(canvas.content[0] * canvas.content[1] / wanted - 1) < 0.2


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.integers(0, 99))
def test_pictures_go_to_the_canvas_and_back(size: tuple[int, int], seed: int) -> None:
    canvas = Canvas.fit(size, size=None, native=64, multiple=8)
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))
    work = canvas.shrink(picture)
    assert work.shape == (3, *canvas.padded) and 0 <= work.min() and work.max() <= 1
    back = canvas.grow(work)
    assert back.shape == picture.shape and 0 <= back.min() and back.max() <= 1
    flat = torch.full((3, *size), 0.25)
    assert torch.allclose(canvas.grow(canvas.shrink(flat)), flat, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (4000, 10), (10, 4000), (1, 900), (3, 2)])
def test_tiny_and_thin_photos_work(size: tuple[int, int]) -> None:
    for native, multiple in ((64, 8), (512, 64)):
        canvas = Canvas.fit(size, size=None, native=native, multiple=multiple)
        picture = torch.linspace(0, 1, size[0] * size[1]).reshape(1, *size).expand(3, -1, -1)
        back = canvas.grow(canvas.shrink(picture))
        assert back.shape == picture.shape and bool(torch.isfinite(back).all())
        assert canvas.padded[0] * canvas.padded[1] <= 2 * native**2 + 2 * native * multiple


def test_a_photo_of_the_working_size_passes_unchanged() -> None:
    canvas = Canvas.fit((64, 64), size=None, native=64, multiple=8)
    picture = torch.rand(3, 64, 64)
    assert torch.equal(canvas.grow(canvas.shrink(picture)), picture)


def test_padding_mirrors_the_content() -> None:
    canvas = Canvas((6, 4), (0, 0, 4, 6), (6, 4), (8, 8))
    picture = torch.arange(24.0).reshape(1, 6, 4) / 24
    work = canvas.shrink(picture)
    assert torch.equal(work[:, :6, :4], picture)
    assert torch.equal(work[0, 6], work[0, 4]) and torch.equal(work[0, 7], work[0, 3])
    assert torch.equal(work[0, :, 4], work[0, :, 3]), "more padding than content: the edge repeats"


def test_a_smooth_picture_survives_shrinking_and_growing() -> None:
    picture = torch.from_numpy(smooth(301, 457)).permute(2, 0, 1) / 255
    canvas = Canvas.fit((301, 457), size=None, native=128, multiple=8)
    assert (canvas.grow(canvas.shrink(picture)) - picture).abs().max() < 0.02


@pytest.mark.parametrize("size", [0, -5, (0, 4), (4, 4, 4)])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(RecipeError, match="size: got"):
        Canvas.fit((4, 4), size=size, native=64, multiple=8)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 70)] * 4)
def test_averaging_keeps_the_mean(height: int, width: int, new_height: int, new_width: int) -> None:
    values = torch.rand(2, height, width, generator=torch.Generator().manual_seed(0))
    result = average(values, (new_height, new_width))
    assert torch.allclose(result.mean((1, 2)), values.mean((1, 2)), atol=1e-5)
