"""What tests of batches share: a folder with photos, and a plugin that other processes load too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from locstyle.testing import random_style, tiny_backbone

PLUGIN = '''
"""A tiny backbone, and a segmenter that is deadly, slow or blind on photos of certain colours."""
import os
import time

import numpy as np

import locstyle as ls


class Moody:
    prompts = frozenset({"everything"})

    def segment(self, image, prompt):
        red, green, blue = image.getpixel((0, 0))
        if (red, green) == (255, 0):
            os.kill(os.getpid(), 9)
        if (red, green) == (0, 255):
            time.sleep(60)
        if (red, green) == (0, 0):
            return []
        if (red, green) == (255, 255):
            raise ValueError("a bug of a plugin's")
        left = np.zeros((image.height, image.width), bool)
        left[:, : image.width // 2] = True
        return [ls.Segment.of(left), ls.Segment.of(~left)]


def load(name, device, dtype):
    from locstyle.testing import tiny_backbone

    return tiny_backbone()


@ls.hookimpl
def register_backbones(register):
    register("tiny", load)


@ls.hookimpl
def register_segmenters(register):
    register("moody", Moody)
'''
DEADLY, SLOW, BLIND, BUGGY = (255, 0, 9), (0, 255, 9), (0, 0, 9), (255, 255, 9)
"""What the first pixel of a photo does to the segmenter `moody`."""

RECIPE = """
locstyle: 2
backbone: tiny
fusion: singlepass
segmenter: moody
steps: {steps}
regions:
  - {{mask: "auto:1", style: {style}}}
"""


def make_folder(folder: Path, count: int, *, steps: int = 1, size: int = 32) -> None:
    """Photos 0.png, 1.png, … in photos/, the styles one and two in loras/, a recipe, and the plugin
    as an installed distribution in site/."""
    (folder / "photos").mkdir()
    for number in range(count):
        photo(folder / "photos" / f"{number:03}.png", number, size=size)
    backbone = tiny_backbone()
    (folder / "loras").mkdir()
    for seed, name in enumerate(("one", "two")):
        random_style(backbone, seed).save(folder / "loras" / f"{name}.safetensors")
    (folder / "recipe.yaml").write_text(RECIPE.format(steps=steps, style="one"))
    info = folder / "site" / "acme_moody-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "site" / "acme_moody.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-moody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[locstyle]\nacme-moody = acme_moody\n")


def photo(path: Path, seed: int, corner: tuple[int, int, int] = (7, 7, 7), size: int = 32) -> None:
    """A small photo of noise with a first pixel that the segmenter looks at."""
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    noise[0, 0] = corner
    Image.fromarray(noise).save(path)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process that sees the plugin of `folder`."""
    plugins = "singlepass,acme-moody"
    paths = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths.strip(os.pathsep), "LOCSTYLE_PLUGINS": plugins}


def command(*words: object) -> list[str]:
    """A command line of ours, as another process."""
    return [sys.executable, "-m", "locstyle", *map(str, words)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a batch is to leave in its folder, but for what each writer told."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".jsonl"
    }
