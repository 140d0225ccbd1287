"""Do a style picture's things come along where one region is the whole picture?

    python benchmarks/things_whole.py --style STAINED-GLASS.safetensors

STAINED-GLASS is a LoRA learned at 128 pixels, as `locstyle bench quality --size 128` leaves one.
Prints means over three scenes: places and segments of `locstyle.measure.things_taken`, texture and
colour to the truth, and edges as in the photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from locstyle_plugins.bench.cases import style_picture
from locstyle_plugins.world import HELD_OUT_WORLD, World, WorldScene

import locstyle as ls
from locstyle import measure

SIZE, NAME, SCENES = 128, "stained glass", (501, 503, 505)
COARSE = ("down_blocks.2", "down_blocks.3", "mid_block", "up_blocks.0")  # of a LoRA's layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--style", type=Path, required=True)
    style = ls.read_style(parser.parse_args().style)[0]
    fine = {k: v for k, v in style.deltas.items() if not any(one in k for one in COARSE)}
    less = ls.Style(style.name, style.family, fine, style.meta)
    trials = [(f"structure {s}", s, style) for s in (0.0, 0.25, 0.4, 0.6)]
    editor, world = ls.Editor.load("mini", device="cpu"), World(HELD_OUT_WORLD, SIZE)
    for name, structure, one in [*trials, ("0.25, no coarse layers", 0.25, less)]:
        rows = [figures(editor, world.scene(number), one, structure) for number in SCENES]
        print(name, *(f"{value:.3f}" for value in np.mean(rows, axis=0)), flush=True)


def figures(
    editor: ls.Editor, scene: WorldScene, style: ls.Style, structure: float
) -> tuple[float, ...]:
    asked = ls.Edit(
        ls.Photo.from_image(scene.photo),
        (ls.Region("all", style, structure=structure),),
        prompt=scene.caption,
        size=(SIZE, SIZE),
        feather=0.0,
        paste_feather=0.0,
    )
    output, truth = np.asarray(editor.run(asked).image.convert("RGB")), scene.render(NAME)
    taken = measure.things_taken(output, style_picture(NAME, SIZE).picture, [truth, scene.photo])
    return (
        *taken,
        measure.texture_distance(output, truth),
        measure.colour_distance(output, truth),
        measure.edge_agreement(output, scene.photo),
    )


if __name__ == "__main__":
    main()
