"""Why do edits in neon put lines where the photo has no edges? Lines asked of words, tone and dial.

    python benchmarks/neon.py --style NEON.safetensors --out OUT [--scenes 1] [--size 128]

Neon is a dark ground with glowing lines along the outlines. Whole pictures by `singlepass`, seed 0:
the LoRA by structure and guidance; of photos darkened first, whose tone is the truth's already; and
two line styles that `mini` was trained on, by their words alone and as what the LoRA starts from.
Prints how well edges agree with the true rendering's, and texture and colour to it; OUT keeps the
pictures. NEON is learned at SIZE, as `locstyle bench quality --size 128` leaves one in its folder
`styles`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from locstyle_plugins.world import HELD_OUT_WORLD, World, WorldScene
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import measure

Pixels = NDArray[np.uint8]
FIRST = 501  # scenes of the held-out world that nothing else is measured on


@dataclass(frozen=True)
class Trial:
    """One way to try it; `dark` is how much of the photo's light goes, `words` a style by name."""

    name: str
    structure: float = 0.25
    guidance: float = 2.0
    dark: float = 0.0
    words: str = ""
    start: float | None = 0.0  # of the schedule, from where the LoRA acts; None: never

    @property
    def truth(self) -> str:
        return self.words if self.start is None else "neon"


TRIALS = (
    Trial("the LoRA, as by default"),
    Trial("structure 0, guidance 4", 0.0, 4.0),
    Trial("structure 0.5", 0.5),
    Trial("structure 0.5, guidance 4", 0.5, 4.0),
    Trial("the photo at night", dark=1.0),
    Trial("the photo at dusk, structure 0.5, guidance 3", 0.5, 3.0, dark=0.7),
    Trial("words 'blueprint', structure 0.5, guidance 4", 0.5, 4.0, words="blueprint", start=None),
    Trial("words 'chalk', guidance 3", 0.25, 3.0, words="chalk", start=None),
    Trial("'blueprint' and the LoRA, 0.5, 3", 0.5, 3.0, words="blueprint"),
    Trial("'blueprint', the LoRA from 0.3 on, 0.5, 3", 0.5, 3.0, words="blueprint", start=0.3),
    Trial("'blueprint', the LoRA from 0.5 on, 0.5, 3", 0.5, 3.0, words="blueprint", start=0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=1)
    parser.add_argument("--size", type=int, default=128)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    editor, world = ls.Editor.load("mini", device="cpu"), World(HELD_OUT_WORLD, wanted.size)
    scenes = [world.scene(FIRST + 2 * number) for number in range(wanted.scenes)]
    table = Table("", "edges as the truth's", "texture", "colour")
    table.add_row("the photo", *cells([figures(s.photo, s.render("neon")) for s in scenes]))
    for place, trial in enumerate(TRIALS):
        found = []
        for number, scene in enumerate(scenes):
            path = wanted.out / f"{number}-{place:02}.png"
            if not path.exists():
                edit(editor, scene, trial, str(wanted.style)).save(path)
            found.append(figures(np.asarray(Image.open(path)), scene.render(trial.truth)))
        table.add_row(trial.name, *cells(found))
    Console(width=120).print(table)


def edit(editor: ls.Editor, scene: WorldScene, trial: Trial, style: str) -> Image.Image:
    """The photo of a scene, all of it."""
    words = f"a painting in {trial.words} style of {scene.caption}" if trial.words else None
    given = None if trial.start is None else style
    region = ls.Region("all", given, prompt=words, window=(trial.start or 0.0, 1.0))
    options = {"structure": trial.structure, "guidance": trial.guidance}
    asked = ls.Edit(
        ls.Photo.from_image(darkened(scene.photo, trial.dark)),
        (region,),
        prompt=scene.caption,
        fusion=ls.Fusing("singlepass", options=options),
        size=scene.photo.shape[:2],
        feather=0.0,
        paste_feather=0.0,
    )
    return editor.run(asked).image.convert("RGB")


def darkened(photo: Pixels, share: float) -> Pixels:
    """The photo towards the ground that the renderer of neon gives it."""
    night = photo / 255 * (0.16, 0.12, 0.30) + (0.03, 0.01, 0.08)
    mixed = (1 - share) * photo / 255 + share * night
    return np.round(255 * mixed.clip(0, 1)).astype(np.uint8)


def figures(output: Pixels, truth: Pixels) -> tuple[float, float, float]:
    return (
        measure.edge_agreement(output, truth),
        measure.texture_distance(output, truth),
        measure.colour_distance(output, truth),
    )


def cells(found: list[tuple[float, float, float]]) -> list[str]:
    return [f"{value:.3f}" for value in np.mean(found, axis=0)]


if __name__ == "__main__":
    main()
