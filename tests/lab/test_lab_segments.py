"""The data a small FastSAM is trained on: outlines that say what the world's masks say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from locstyle_lab.segments_data import Rendering, degrade, outlines, render
from locstyle_plugins.world import World


@pytest.mark.parametrize("number", [0, 2])
def test_outlines_fill_to_the_masks_the_smallest_on_top(number: int) -> None:
    """As ultralytics reads them: where filled outlines overlap, the smaller object wins."""
    scene = World(1, 128).scene(number)
    large = [mask for _, mask in scene.instances if mask.mean() >= 0.0015]
    filled = []
    for outline in outlines(scene):
        canvas = np.zeros((128, 128), np.uint8)
        cv2.fillPoly(canvas, [(outline * 128 - 0.5).round().astype(np.int32)], 1)
        filled.append(canvas.astype(bool))
    assert len(filled) == len(large)
    shown = np.full((128, 128), -1)
    for index in sorted(range(len(filled)), key=lambda i: -filled[i].sum()):
        shown[filled[index]] = index
    for index, mask in enumerate(large):
        both, either = ((shown == index) & mask).sum(), ((shown == index) | mask).sum()
        assert both / either > 0.75


def test_outlines_stay_in_the_picture() -> None:
    for outline in outlines(World(1, 128).scene(1)):
        assert outline.min() >= 0 and outline.max() <= 1
        assert len(outline) >= 3


def test_a_scene_is_rendered_with_one_line_per_object(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    render(Rendering(tmp_path, 1, 2))
    (first, *_) = sorted((tmp_path / "labels").iterdir())
    assert len(first.read_text().splitlines()) == len(outlines(World(1, 256).scene(2)))
    images = {path.stem for path in (tmp_path / "images").iterdir()}
    assert images == {path.stem for path in (tmp_path / "labels").iterdir()}


def test_spoiled_pictures_stay_pictures() -> None:
    picture = World(1, 64).scene(0).photo
    rng = np.random.default_rng(0)
    spoiled = [degrade(picture, rng) for _ in range(8)]
    assert all(s.shape == picture.shape and s.dtype == np.uint8 for s in spoiled)
    away = [float(np.abs(s.astype(float) - picture).mean()) for s in spoiled]
    assert 0 < max(away) < 60
