"""Tiles cover a latent, overlap, and average back to what they were cut from."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locstyle.engine.tiles import OVERLAP, Tiles

sides = st.integers(1, 40).map(lambda n: 8 * n)


@settings(max_examples=100, deadline=None)
@given(st.tuples(sides, sides), st.sampled_from([32, 64]), st.sampled_from([1, 4, 8]))
def test_tiles_cover_overlap_and_have_one_size(
    size: tuple[int, int], side: int, multiple: int
) -> None:
    tiles = Tiles.of(size, side, multiple)
    counts = torch.zeros(size)
    for tile in tiles.tiles:
        assert tile.size == tiles.tiles[0].size
        assert tile.top % multiple == 0 and tile.left % multiple == 0
        assert tile.top + tile.height <= size[0] and tile.left + tile.width <= size[1]
        assert tile.height * tile.width <= 1.6 * side * side
        tile.of(counts).add_(1)
    assert counts.min() >= 1
    rows = sorted({tile.top for tile in tiles.tiles})
    for one, other in pairwise(rows):
        assert one + tiles.tiles[0].height - other >= OVERLAP * tiles.tiles[0].height - multiple


@settings(max_examples=40, deadline=None)
@given(st.tuples(sides, sides), st.sampled_from([1, 2]))
def test_what_is_cut_and_merged_is_what_it_was(size: tuple[int, int], scale: int) -> None:
    tiles = Tiles.of(size, 32, 8)
    whole = torch.rand(1, 2, size[0] * scale, size[1] * scale)
    merged = tiles.merged([tile.of(whole, scale) for tile in tiles.tiles], scale)
    assert torch.allclose(merged, whole, atol=1e-5)


def test_one_tile_is_exact() -> None:
    tiles = Tiles.of((32, 40), 32, 8)
    whole = torch.rand(1, 4, 32, 40)
    assert tiles.is_one and tiles.merged([tiles.tiles[0].of(whole)]) is not None
    assert torch.equal(tiles.merged([tiles.tiles[0].of(whole)]), whole)


def test_where_two_disagree_the_change_is_smooth() -> None:
    tiles = Tiles.of((32, 96), 32, 8)
    parts = [torch.full((1, 1, 32, tile.width), float(n % 2)) for n, tile in enumerate(tiles.tiles)]
    steps = tiles.merged(parts).diff(dim=-1).abs()
    assert len(parts) > 2 and float(steps.max()) < 0.3


@pytest.mark.parametrize("size", [(16, 256), (256, 16)])
def test_a_strips_tiles_are_long(size: tuple[int, int]) -> None:
    tiles = Tiles.of(size, 32, 8)
    assert sorted(tiles.tiles[0].size) == [16, 64]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 40))
def test_tiles_cover_the_latent_whatever_side_is_asked_for(
    height: int, width: int, side: int
) -> None:
    """A side that is no multiple, such as three quarters of a small model's, left gaps of 0 / 0."""
    tiles = Tiles.of((8 * height, 8 * width), side, 8)
    ones = [torch.ones(tile.height, tile.width) for tile in tiles.tiles]
    assert torch.allclose(tiles.merged(ones), torch.ones(8 * height, 8 * width))
    assert all(tile.top % 8 == tile.left % 8 == 0 for tile in tiles.tiles)
    assert all(tile.height % 8 == tile.width % 8 == 0 for tile in tiles.tiles)
