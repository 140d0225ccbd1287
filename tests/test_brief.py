"""Whatever is printed is one short line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, random_tokens, random_words


@pytest.fixture(scope="module")
def things(backbone: UNetBackbone) -> Mapping[str, object]:
    editor = ls.Editor(backbone, ls.Host())
    photo = ls.Photo.from_image(np.full((45, 61, 4), 255, np.uint8))
    words = "a long description of a photo, " * 20
    regions = [
        ls.Region(ls.Mask.box((0, 0, 20, 20), (45, 61)), random_style(backbone, 1)),
        ls.Region("all", random_style(backbone, 2), 0.8, window=(0.0, 0.5)),
        *[ls.Region(np.ones((45, 61), bool), style=Image.new("RGB", (32, 32)))] * 12,
    ]
    edit = ls.Edit(photo, regions, steps=1, prompt=words)
    job = editor.resolve(edit)
    with pytest.warns(ls.LocstyleWarning):
        result = editor.run(job)
    trajectory = ls.Trajectory({1: torch.zeros(1, 4, 8, 8)})
    every = [
        editor, photo, edit, *regions[:3], job, *job.masks[:2], result, trajectory,
        random_style(backbone), random_tokens(backbone), random_words(backbone),
        ls.Style.from_pictures("x", [photo]), ls.Style.from_pictures("x", [photo]).references[0],
        ls.Segment.of(np.ones((45, 61), bool), label="tree"), backbone.text("a house"),
        ls.Styling(np.zeros((9, 9, 3), np.uint8), 0.5), ls.Fusing("vct", options={"guidance": 3.0}),
    ]  # fmt: skip
    return {repr(one): one for one in every}


def test_everything_prints_as_one_short_line_with_its_kind(things: Mapping[str, object]) -> None:
    for shown, one in things.items():
        assert shown.startswith(f"{type(one).__name__}("), shown
        assert "\n" not in shown
        assert len(shown) < 320, shown


@pytest.mark.parametrize(
    "shown",
    [
        "Editor('tiny', cpu, torch.float32)",
        "Photo(61 × 45, 4 channels of 8 bit)",
        "Mask(61 × 45, 14.57% inside)",
        "Segment(61 × 45, 100.00% inside, 'tree')",
        "Region('all', style=Style('random-2', family='tiny', 128 sites, rank 2), strength=0.8, "
        "window=(0.0, 0.5))",
        "Region(ndarray of 45 × 61, style=Image of 32 × 32)",
        "Styling(ndarray of 9 × 9 × 3, strength=0.5)",
    ],
)
def test_what_is_printed(things: Mapping[str, object], shown: str) -> None:
    assert shown in things
