"""References at the working size: covering, cut where they are meant, never flattened."""

from __future__ import annotations

import pytest
import torch

import locstyle as ls
from locstyle.job.references import cut


def gradient(height: int, width: int) -> torch.Tensor:
    """Red grows to the right, green downwards: [H, W, 3] uint8."""
    right = torch.linspace(0, 255, width).expand(height, width)
    down = torch.linspace(0, 255, height)[:, None].expand(height, width)
    return torch.stack([right, down, torch.zeros(height, width)], -1).round().to(torch.uint8)


def test_a_picture_of_the_working_size_is_itself() -> None:
    pixels = gradient(32, 48)
    found = cut(ls.Reference(pixels), (32, 48))
    assert torch.equal((found.picture * 255).round(), pixels.permute(2, 0, 1).float())
    assert found.area is None


@pytest.mark.parametrize("size", [(64, 256), (256, 64), (100, 101)])
def test_the_middle_is_taken_and_circles_stay_round(size: tuple[int, int]) -> None:
    height, width = size
    picture = cut(ls.Reference(gradient(height, width)), (64, 64)).picture
    assert picture.shape == (3, 64, 64)
    assert picture.mean((1, 2))[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    shorter = min(height, width)
    right, down = (picture[0].diff(dim=1).mean(), picture[1].diff(dim=0).mean())
    # How steep a gradient comes out says how much of its side was taken: the same on both.
    assert float(right) * width == pytest.approx(shorter / 64, rel=0.06)
    assert float(down) * height == pytest.approx(shorter / 64, rel=0.06)


@pytest.mark.parametrize(("left", "right"), [(0, 20), (90, 120), (230, 256)])
def test_the_cut_lies_where_the_area_is(left: int, right: int) -> None:
    area = torch.zeros(64, 256, dtype=torch.uint8)
    area[10:50, left:right] = 255
    found = cut(ls.Reference(gradient(64, 256), area), (32, 32))
    assert found.area is not None
    assert float(found.area.sum()) == pytest.approx(40 * (right - left) / 4, rel=0.02)
    seen = found.picture[0][found.area > 0.99] * 255
    assert left - 2 <= float(seen.min()) and float(seen.max()) <= right + 2


def test_an_area_in_two_places_loses_the_smaller() -> None:
    area = torch.zeros(10, 400, dtype=torch.uint8)
    area[:, :3] = area[:, -5:] = 255
    found = cut(ls.Reference(gradient(10, 400), area), (10, 10))
    assert found.area is not None and float(found.area.sum()) == 50


@pytest.mark.filterwarnings("ignore:reference. .* enlarged:UserWarning")
@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (2, 3)])
def test_the_oddest_sizes_come_out_at_the_working_size(size: tuple[int, int]) -> None:
    found = cut(ls.Reference(gradient(*size)), (512, 384))
    assert found.picture.shape == (3, 512, 384)
    assert found.picture.isfinite().all()


def test_only_the_very_small_warn() -> None:
    cut(ls.Reference(gradient(16, 16)), (64, 64))
    with pytest.warns(UserWarning, match="12 × 15 pixels, enlarged 5 times"):
        cut(ls.Reference(gradient(15, 12)), (64, 64))


def test_the_area_of_a_scene_reference_keeps_its_mean() -> None:
    area = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    found = ls.SceneReference(ls.Trajectory({}), area)
    for size in (64, 32, 8, 7):
        assert float(found.at(size, size).mean()) == pytest.approx(float(area.mean()), abs=1e-5)
    assert ls.SceneReference(ls.Trajectory({})).at(3, 5).eq(1).all()
