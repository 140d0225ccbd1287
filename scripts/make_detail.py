"""Makes docs/pictures/detail.jpg: what `detail` does to strokes.

    python scripts/make_detail.py

A scene of the paired world at 384 pixels, its meadow and tree by one LoRA at several details. At 1
the frame is drawn in tiles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from locstyle_plugins.world import World
from PIL import Image

import locstyle as ls
from locstyle.sheet import contact_sheet

PICTURE = Path(__file__).parent.parent / "docs/pictures/detail.jpg"
WORLD, SCENE, SIDE = 2027, 35, 384
STYLE, DETAILS, STEPS = "stained-glass", (0.33, "auto", 1.0), 8
CELL = 320


def main() -> None:
    scene = World(WORLD, SIDE).scene(SCENE)
    held = np.any([scene.masks[name] for name in ("ground", "tree")], 0)
    photo, mask = Image.fromarray(scene.photo), ls.Mask.from_image(held.astype(np.float32))
    editor = ls.Editor.load("mini", device="cpu")
    pictures = []
    for detail in DETAILS:
        edit = ls.Edit(photo, (ls.Region(mask, STYLE),), detail=detail, steps=STEPS)
        result = editor.run(edit)
        (frame,) = result.report.frames
        scale = frame.working_size[0] / (frame.box[3] - frame.box[1])
        tiled = f", {frame.tiles} tiles" if frame.tiles > 1 else ""
        is_auto = f", here {scale:.2f}" if detail == "auto" else ""
        label = f"detail {detail}{is_auto}{tiled}"
        pictures.append((label, result.image.crop((0, 96, SIDE, SIDE))))
        print(label, flush=True)
    contact_sheet(pictures, cell=CELL).save(PICTURE, quality=85, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
