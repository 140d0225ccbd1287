"""Every encoder learns what a picture shows, whatever its profile, and nothing under its alpha."""

from __future__ import annotations

import numpy as np
import pytest
from locstyle_plugins.concept import Concept
from locstyle_plugins.lora import LoRA
from locstyle_plugins.reference import ReferenceEncoder
from PIL import Image
from profiles import ADOBE, PROPHOTO, SRGB, converted, muted

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone

REQUEST = ls.StyleRequest("ink", "ink style", seed=3)
ENCODERS = {
    "lora": LoRA(LoRA.Options(rank=2, steps=1, crops=2)),
    "concept": Concept(Concept.Options(words=1, steps=1, crops=2)),
    "reference": ReferenceEncoder(),
}


def hiding(colour: int) -> Image.Image:
    """A picture whose left half is transparent, with a colour under it."""
    pixels = np.full((48, 48, 4), 255, np.uint8)
    pixels[..., :3] = muted((48, 48))
    pixels[:, :24] = (colour, colour, 255 - colour, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", ENCODERS)
def test_hidden_colours_teach_nothing(backbone: UNetBackbone, name: str) -> None:
    styles = [ENCODERS[name].encode([hiding(c)], backbone, REQUEST, print) for c in (0, 250)]
    assert styles[0].digest == styles[1].digest


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("icc", [ADOBE, PROPHOTO])
def test_a_profile_teaches_what_it_shows(backbone: UNetBackbone, name: str, icc: bytes) -> None:
    image = converted(Image.fromarray(muted((48, 48))), SRGB, icc)
    image.info["icc_profile"] = icc
    shown = Image.fromarray(np.asarray(ls.Photo.from_image(image).srgb))
    styles = [ENCODERS[name].encode([i], backbone, REQUEST, print) for i in (image, shown)]
    assert styles[0].digest == styles[1].digest
    bare = Image.fromarray(np.asarray(image))
    assert ENCODERS[name].encode([bare], backbone, REQUEST, print).digest != styles[0].digest


def test_a_preview_shows_the_same() -> None:
    assert ls.thumbnail(hiding(0)) == ls.thumbnail(hiding(250))
