"""Owners are where the photo has them, whichever tile asks."""

from __future__ import annotations

import torch

from locstyle.engine.call import MIXED, Call, Grid, Row
from locstyle.engine.ownership import Ownership
from locstyle.engine.tiles import Tiles
from locstyle.masks import Partition

SIDE, MULTIPLE = 16, 8
"""Of tiles in latent pixels: the tiny backbone halves a latent three times."""


def tiles_of(size: tuple[int, int]) -> Tiles:
    tiles = Tiles.of(size, SIDE, MULTIPLE)
    assert len(tiles.tiles) > 1
    return tiles


def test_a_tile_sees_the_owners_of_its_own_place() -> None:
    values = torch.rand(3, 64, 160)
    ownership, like = Ownership(Partition(values / values.sum(0))), torch.zeros(1)
    tiles = tiles_of((16, 40))
    for scale in (1, 2, 4, 8):
        whole = ownership.mixed(Grid(16 // scale, 40 // scale), like)
        for tile in tiles.tiles:
            call = Call(0.0, 1, (Row("+", MIXED),), tile.size, tile=tile)
            grid = call.grid(torch.zeros(1, 1, tile.height // scale, tile.width // scale))
            left = tile.left // scale
            expected = whole[:, :, left : left + tile.width // scale]
            assert torch.equal(ownership.mixed(grid, like), expected)
