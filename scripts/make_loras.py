"""Makes the shipped styles: draws one picture of the paired world in each, then trains on it.

NAME is a LoRA, NAME-word a learned word.

    python scripts/make_loras.py [NAME …]

The training is the plain command line, run in loras/, so that anybody can run the command in a
file's header again. Afterwards each style is tried on a photo of another scene, for the index page.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import index_loras
import numpy as np
from locstyle_plugins.bench.cases import STYLE_SCENE
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World
from PIL import Image

import locstyle as ls

LORAS = Path(__file__).parent.parent / "loras"
LICENCE = "CC0-1.0, drawn by the renderer of locstyle"
NAMES = tuple(style.replace(" ", "-") for style in HELD_OUT_STYLES)
WORD = "-word"
WORDS = ("engraving", "stained-glass")
TRIED_ON = 21
SIDE = 256  # of the pictures, as edits draw them
LEARNT = ("-O", f"drawn_at={SIDE}", "-O", "size=96")
PALETTES = {"swirl": "0", "embroidery": "0", "engraving": "1", "neon": "0.5"}
"""Whose colours, by benchmarks/palette_defaults.py; as drawn where nothing is clearly nearer."""


def main(names: list[str]) -> None:
    editor = ls.Editor.load("mini", device="cpu")
    for name in names or (*NAMES, *(word + WORD for word in WORDS)):
        learn(name)
        try_out(editor, name)
    index_loras.main()


def learn(name: str) -> None:
    """One style file, from the command line; words are learned at the backbone's own side."""
    style, encoder = style_of(name), "concept" if name.endswith(WORD) else "lora"
    world = World(HELD_OUT_WORLD) if encoder == "concept" else World(HELD_OUT_WORLD, SIDE)
    scene, picture = world.scene(STYLE_SCENE), f"{name}.png"
    Image.fromarray(scene.render(style)).save(LORAS / picture, optimize=True)
    prompt = f"a painting in {style} style"
    command = [sys.executable, "-m", "locstyle", "train", encoder, picture]
    command += ["-o", f"{name}.safetensors", "--prompt", prompt, "--licence", LICENCE]
    if encoder == "lora":
        command += LEARNT
    if name in PALETTES:
        command += ["--palette", PALETTES[name]]
    subprocess.run(command, cwd=LORAS, check=True)


def try_out(editor: ls.Editor, name: str) -> None:
    """Photo, result and truth side by side."""
    scene = World(HELD_OUT_WORLD, SIDE).scene(TRIED_ON)
    edit = ls.Edit(
        image=scene.photo,
        regions=(ls.Region(mask="all", style=LORAS / f"{name}.safetensors"),),
        prompt=scene.caption,
        feather=0.0,
        paste_feather=0.0,
    )
    result = np.asarray(editor.run(edit).image.convert("RGB"))
    strip = np.concatenate([scene.photo, result, scene.render(style_of(name))], 1)
    Image.fromarray(strip).save(LORAS / f"{name}-edit.jpg", quality=90)


def style_of(name: str) -> str:
    """What the world calls the style of a file."""
    return name.removesuffix(WORD).replace("-", " ")


if __name__ == "__main__":
    main(sys.argv[1:])
