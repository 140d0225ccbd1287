"""Tiles are parts of one picture: owners are where the photo has them, and so is its tone."""

from __future__ import annotations

import weakref

import pytest
import torch
from locstyle_plugins.world import World

from locstyle import default_host, measure
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.call import MIXED, Call, Grid, Row
from locstyle.engine.kept import Kept
from locstyle.engine.ownership import Ownership
from locstyle.engine.tiles import Tile, Tiles
from locstyle.job.make_scene import decoded, encoded
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


def test_no_more_is_kept_for_more_tiles() -> None:
    """Of all that follows from a tile's place: what was worked out for the tiles before is gone."""
    ownership, like = Ownership(Partition(torch.full((2, 64, 320), 0.5))), torch.zeros(1)
    grids = [Grid(*tile.size, tile) for tile in tiles_of((16, 80)).tiles]
    held = [weakref.ref(ownership.held((0, 1), grid, like)[0].tokens) for grid in grids]
    assert len(held) > 4 and [one for one in held if one() is not None] == held[-1:]


def test_what_no_tile_decides_is_kept_for_all_of_them() -> None:
    kept, like = Kept(), torch.zeros(1)
    first, second = tiles_of((16, 40)).tiles[:2]

    def asked(tile: Tile | None) -> torch.Tensor:
        return kept.get("key", like, lambda: torch.zeros(1), tile)

    whole, here = asked(None), asked(first)
    assert asked(None) is whole and asked(first) is here
    assert asked(second) is not here and asked(None) is whole and asked(first) is not here


def test_parts_alike_are_coded_as_each_alone(backbone: UNetBackbone) -> None:
    draw = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 4, 8, 8, generator=draw)
    with torch.no_grad():
        alone = backbone.decode(latent)
        one, other = backbone.as_one([lambda: backbone.decode(latent)] * 2)
        (single,) = backbone.as_one([lambda: backbone.decode(latent)])
    assert torch.equal(single, alone)
    assert torch.allclose(one, alone, atol=1e-4) and torch.equal(one, other)


def test_coding_parts_leaves_nothing_behind(backbone: UNetBackbone) -> None:
    def broken() -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backbone.as_one([broken, broken])
    assert not any(module._forward_hooks for module in backbone.vae.modules())


def test_parts_of_a_picture_are_coded_as_the_whole() -> None:
    """Within 45 dB by a trained autoencoder; a random one is nothing but its borders."""
    backbone = default_host().backbone("mini")("mini", "cpu", None)
    picture = torch.from_numpy(World(2027, 256).scene(35).photo).permute(2, 0, 1) / 255
    whole, tiles = Tiles.whole((64, 64)), Tiles.of((64, 64), 40, 8)
    assert len(tiles.tiles) == 4
    with torch.no_grad():
        latent = encoded(backbone, picture, whole)
        seen = decoded(backbone, latent, whole)
        assert psnr(decoded(backbone, latent, tiles), seen) > 45
        again = decoded(backbone, encoded(backbone, picture, tiles), whole)
        assert psnr(again, seen) > 45


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return measure.psnr(one.permute(1, 2, 0).numpy(), other.permute(1, 2, 0).numpy())
