"""The style encoder `reference`: pictures carried along, whole or in part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from locstyle_plugins.reference import ReferenceEncoder
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone

REQUEST = ls.StyleRequest("ink", "", licence="CC0")


def picture(size: tuple[int, int] = (20, 30), seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def encode(backbone: UNetBackbone, *pictures: Image.Image, **options: object) -> ls.Style:
    encoder = ReferenceEncoder(ReferenceEncoder.Options(**options))  # type: ignore[arg-type]
    return encoder.encode(pictures, backbone, REQUEST, lambda step: None)


def test_pictures_are_carried_and_come_back(backbone: UNetBackbone, tmp_path: Path) -> None:
    style = encode(backbone, picture(), picture(seed=1))
    assert style.kinds == ReferenceEncoder.makes
    found = ls.read_style(
        style.save(tmp_path / "ink.safetensors"), sites=backbone.sites, family="another"
    )[0]
    assert found.digest == style.digest and found.trigger == ""
    for number, reference in enumerate(found.references):
        assert np.array_equal(reference.pixels, np.asarray(picture(seed=number)))
    assert found.meta["licence"] == "CC0" and found.meta["encoder"].startswith("reference ")


def test_a_selection_says_which_part_is_meant(backbone: UNetBackbone) -> None:
    (reference,) = encode(backbone, picture(), area="box:0,0,15,20").references
    assert reference.area is not None
    assert (reference.area[:, :15] == 255).all() and not reference.area[:, 15:].any()
    with pytest.raises(ls.MaskError, match="outside the photo"):
        encode(backbone, picture(), area="box:0,0,99,20")


def test_large_pictures_are_kept_at_the_side_asked_for(backbone: UNetBackbone) -> None:
    (reference,) = encode(backbone, picture((200, 300)), side=50).references
    assert reference.size == (41, 61)
    assert torch.equal(
        reference.pixels, encode(backbone, picture((200, 300)), side=50).references[0].pixels
    )


@pytest.mark.parametrize("side", [0, -5, 5000])
def test_sides_out_of_range_are_refused(side: int) -> None:
    with pytest.raises(ls.RecipeError, match=f"options.side: got {side}"):
        ReferenceEncoder(ReferenceEncoder.Options(side=side))


def test_no_picture_is_an_error(backbone: UNetBackbone) -> None:
    with pytest.raises(ls.StyleError, match="no picture"):
        encode(backbone)
