"""A folder with a photo, and a server of it that the tests of a module share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calling import Client
from chrome import browser, opened
from PIL import Image
from serving import serving

from locstyle.testing import random_style, tiny_backbone

__all__ = ["browser", "opened"]  # Chromium, for the tests of the page
SIZE = (96, 128)


def photo_pixels() -> np.ndarray:
    """Four flat squares and a gradient, so that there are objects to find."""
    rng = np.random.default_rng(3)
    pixels = np.full((*SIZE, 3), 90, np.uint8)
    pixels[8:40, 8:56] = (200, 60, 50)
    pixels[50:90, 70:120] = (40, 120, 220)
    pixels[50:90, 8:40] = (230, 220, 60)
    return (pixels + rng.integers(0, 3, pixels.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, a painting, a style, a recipe; outside of it a secret."""
    folder = tmp_path_factory.mktemp("page") / "photos"
    folder.mkdir()
    Image.fromarray(photo_pixels()).save(folder / "photo.png")
    Image.fromarray(photo_pixels()).save(folder / "photo.jpg", quality=95)
    Image.fromarray(photo_pixels()[::-1].copy()).save(folder / "painting.png")
    random_style(tiny_backbone(), seed=1).with_preview(Image.fromarray(photo_pixels())).save(
        folder / "mine.safetensors"
    )
    (folder / "sub").mkdir()
    Image.fromarray(photo_pixels()).save(folder.parent / "secret.png")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path):
    with serving(folder, photo="photo.png") as served:
        yield served


@pytest.fixture(scope="module")
def client(served) -> Client:
    return Client(served)


@pytest.fixture
def recipe() -> dict:
    """An edit of the photo that takes a moment."""
    return {
        "locstyle": 2,
        "image": "photo.png",
        "backbone": "tiny",
        "regions": [{"mask": "box:8,8,56,40", "style": "mine.safetensors"}],
        "steps": 3,
    }
