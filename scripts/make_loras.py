"""Makes the shipped styles: draws one picture of the paired world in each, then trains on it.

NAME is a LoRA, NAME-word a learned word. The held-out styles are for measuring: learned as large
as the world draws them. The others are for people: styles that the backbone knows by its words, so
that little is to learn, and half as large, so that a photo's things stay larger than the strokes.

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
FINE = ("-O", f"drawn_at={SIDE // 2}", "-O", "rank=4", "-O", "steps=150")
BROAD = (*LEARNT, "-O", "rank=8")  # half as large, a facet is too small to be drawn
PALETTES = {"swirl": "0", "embroidery": "0", "engraving": "1", "neon": "0.5"}
"""Whose colours, by benchmarks/palette_defaults.py; as drawn where nothing is clearly nearer."""
WANTED = ("pencil", "watercolor", "low-poly")
KNOWN = {"halftone": 1, "pastel": 1, "woodcut": 1, "ink-wash": 2}
"""Words that the backbone has, taken as they are, and how many tokens they have."""
PALETTES |= {"pencil": "1", "woodcut": "1", "ink-wash": "1"}
PALETTES |= {"halftone": "0", "pastel": "0", "watercolor": "0", "low-poly": "0"}


def main(names: list[str]) -> None:
    editor = ls.Editor.load("mini", device="cpu")
    for name in names or (*NAMES, *WANTED, *KNOWN, *(word + WORD for word in WORDS)):
        learn(name)
        try_out(editor, name)
    index_loras.main()


def learn(name: str) -> None:
    """One style file, from the command line; words are learned at the backbone's own side."""
    style, encoder = style_of(name), "concept" if name.endswith(WORD) or name in KNOWN else "lora"
    world = World(HELD_OUT_WORLD) if name.endswith(WORD) else World(HELD_OUT_WORLD, SIDE)
    scene, picture = world.scene(STYLE_SCENE), f"{name}.png"
    Image.fromarray(scene.render(style)).save(LORAS / picture, optimize=True)
    prompt = f"a painting in {f'<{name}>' if name in KNOWN else style} style"
    command = [sys.executable, "-m", "locstyle", "train", encoder, picture]
    command += ["-o", f"{name}.safetensors", "--prompt", prompt, "--licence", LICENCE]
    command += options(name)
    if name in PALETTES:
        command += ["--palette", PALETTES[name]]
    subprocess.run(command, cwd=LORAS, check=True)


def options(name: str) -> list[str]:
    """How a style is learned."""
    if name in KNOWN:
        start = [f"init={style_of(name)}", f"words={KNOWN[name]}", "crops=0", "size=64", "batch=1"]
        return [word for one in (*start, "steps=1", "lr=1e-6") for word in ("-O", one)]
    if name in WANTED:
        return list(BROAD if name == "low-poly" else FINE)
    return [] if name.endswith(WORD) else list(LEARNT)


def try_out(editor: ls.Editor, name: str) -> None:
    """Photo, result and, where it is drawn as large, the truth side by side."""
    scene = World(HELD_OUT_WORLD, SIDE).scene(TRIED_ON)
    edit = ls.Edit(
        image=scene.photo,
        regions=(ls.Region(mask="all", style=LORAS / f"{name}.safetensors"),),
        prompt=scene.caption,
        feather=0.0,
        paste_feather=0.0,
    )
    result = np.asarray(editor.run(edit).image.convert("RGB"))
    truth = [] if name in (*WANTED, *KNOWN) else [scene.render(style_of(name))]
    strip = np.concatenate([scene.photo, result, *truth], 1)
    Image.fromarray(strip).save(LORAS / f"{name}-edit.jpg", quality=90)


def style_of(name: str) -> str:
    """What the world calls the style of a file."""
    return name.removesuffix(WORD).replace("-", " ")


if __name__ == "__main__":
    main(sys.argv[1:])
