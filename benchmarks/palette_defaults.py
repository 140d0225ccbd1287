"""Whose colours should edits in each shipped style take? Asked of scenes no benchmark shows.

    python benchmarks/palette_defaults.py [--size 256] [--scenes 3] [--styles FOLDER]

Every style is drawn in the largest region of every scene by `singlepass`, once, and recoloured by
palettes from the photo's own colours (0) to the style picture's (1). Prints the mean distance of
colours to the true rendering, and the texture's, which colours should not change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World, WorldScene
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import measure
from locstyle.job.palette import palettes_of, recoloured

PALETTES: tuple[float | str, ...] = ("drawn", 0.0, 0.25, 0.5, 0.75, 1.0)
FIRST = 500  # scenes that neither benchmark, training nor pictures of styles are made of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--styles", type=Path, help="their folder; default: the shipped ones")
    wanted = parser.parse_args()
    editor, world = ls.Editor.load("mini", device="cpu"), World(HELD_OUT_WORLD, wanted.size)
    scenes = [world.scene(FIRST + number) for number in range(wanted.scenes)]
    table = Table("style", *map(str, PALETTES), "best", title="colour (texture) to the truth")
    for style in HELD_OUT_STYLES:
        name = style.replace(" ", "-")
        file = str(wanted.styles / f"{name}.safetensors") if wanted.styles else name
        found = [list(distances(editor, scene, style, file)) for scene in scenes]
        means = np.mean(found, axis=0)
        best = PALETTES[int(means[:, 0].argmin())]
        cells = [f"{colour:.3f} ({texture:.2f})" for colour, texture in means]
        table.add_row(style, *cells, str(best))
    Console(width=120).print(table)


def distances(
    editor: ls.Editor, scene: WorldScene, style: str, file: str
) -> Iterator[tuple[float, float]]:
    """Colour and texture distance to the truth of each palette."""
    mask, truth = largest(list(scene.masks.values())), scene.render(style)
    region = ls.Region(mask.astype(np.float32), file, palette="drawn")
    edit = ls.Edit(ls.Photo.from_image(scene.photo), (region,), prompt=scene.caption,
                   size=scene.photo.shape[:2], feather=0.0, paste_feather=0.0)  # fmt: skip
    result = editor.run(edit)
    drawn, photo = (tensor(np.asarray(one)) for one in (result.image, scene.photo))
    shares = torch.from_numpy(mask.astype(np.float32))[None]
    made = ls.read_style(ls.find_style(file))[0]
    for palette in PALETTES:
        asked = ls.Edit("photo.png", (ls.Region("all", made, palette=palette),))
        colours = recoloured(drawn, photo, shares, palettes_of(asked, [(made,)]))
        out = (colours * 255).round().byte().permute(1, 2, 0).numpy()
        yield (
            measure.colour_distance(out, truth, mask, mask),
            measure.texture_distance(out, truth, mask, mask),
        )


def largest(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Of those that leave something over."""
    return max((one for one in masks if one.mean() <= 0.7), key=lambda one: float(one.mean()))


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(picture[..., :3])).permute(2, 0, 1).float() / 255


if __name__ == "__main__":
    main()
