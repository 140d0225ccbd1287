"""Draws the examples' pictures: a scene of the paired world, masks of its parts, styles.

python scripts/make_examples.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from locstyle_plugins.bench.cases import STYLE_SCENE
from locstyle_plugins.world import HELD_OUT_WORLD, World
from PIL import Image

PICTURES = Path(__file__).parent.parent / "examples" / "pictures"
SEED, SCENE, SIZE = 2027, 35, 256
MASKS = {  # file: what of the scene it covers
    "sky": ("sky", "sun", "cloud"),
    "meadow": ("ground",),
    "house": ("house",),
    "tree": ("tree",),
    "lake": ("water",),
}
STYLES = ("engraving", "neon", "swirl")


def main() -> None:
    scene = World(SEED, SIZE).scene(SCENE)
    save("scene", scene.photo)
    masks = scene.masks
    for file, names in MASKS.items():
        covered = np.any([masks[name] for name in names if name in masks], axis=0)
        save(file, covered.astype(np.uint8) * np.uint8(255))
    for style in STYLES:
        save(style, World(HELD_OUT_WORLD, SIZE).scene(STYLE_SCENE).render(style))
    print(scene.caption)


def save(name: str, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
