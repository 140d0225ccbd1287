"""A photo whose objects are plain to see, for a machine too: sky, meadow, and a red house."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SKY, MEADOW, HOUSE = (90, 150, 230), (70, 150, 60), (200, 50, 40)
IN_SKY, IN_MEADOW, IN_HOUSE = (0.2, 0.2), (0.2, 0.85), (0.6, 0.55)
"""Points in each, as shares of the photo's sides."""


def scene(height: int = 240, width: int = 320) -> Image.Image:
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height * 2 // 3], pixels[height * 2 // 3 :] = SKY, MEADOW
    pixels[height * 2 // 5 : height * 3 // 4, width // 2 : width * 3 // 4] = HOUSE
    return Image.fromarray(pixels)


STYLES = ("painting", "tapestry", "weave")
"""Pictures beside the photo are styles that every backbone can draw."""


def write_scene(folder: Path, name: str = "photo.png", height: int = 240, width: int = 320) -> Path:
    path = folder / name
    scene(height, width).save(path)
    for turn, style in enumerate(STYLES, 1):
        scene(64, 64).rotate(90 * turn).save(folder / f"{style}.png")
    return path
