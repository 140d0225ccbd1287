"""Triples for a Q-Former: one style on many scenes, one scene in many styles (arXiv:2403.06951).

What DEADiff's authors had to synthesise, the world draws: every scene as a photo, in one style of
the training and in three styles without a name, each of which several scenes share.
"""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from locstyle_plugins.world import (
    HELD_OUT_STYLES,
    HELD_OUT_WORLD,
    TRAINING_STYLES,
    TRAINING_WORLD,
    World,
    endless,
)

from .pictures import SIZE, Pictures, in_parallel

PHOTO = "photo"
_NAMELESS = 3  # a scene
_SHARED_BY = 5  # scenes, on average, that share a nameless style
_NAMELESS_DICE = 1000  # past the places of the named styles


class Drawn(NamedTuple):
    """What a picture shows and how: "photo", a style's name, or the number of a nameless one."""

    scene: int
    style: str
    caption: str
    things: str  # of the caption; may be empty

    @property
    def medium(self) -> str | None:
        """The words that the backbone knows for how it is made; None for a nameless style."""
        if self.style == PHOTO:
            return "a photo"
        return None if self.style.isdigit() else f"a painting in {self.style} style"


@dataclass(frozen=True)
class Triples:
    """Pictures [N, size, size, 3] and what they are; whom each can be paired with."""

    pictures: Pictures
    drawn: list[Drawn]

    @cached_property
    def same_style(self) -> list[list[int]]:
        """For every picture the others in its style, which show other scenes."""
        return self._others([picture.style for picture in self.drawn])

    @cached_property
    def same_scene(self) -> list[list[int]]:
        """For every picture the others of its scene, which are in other styles."""
        return self._others([str(picture.scene) for picture in self.drawn])

    @staticmethod
    def _others(keys: list[str]) -> list[list[int]]:
        alike = defaultdict(list)
        for number, key in enumerate(keys):
            alike[key].append(number)
        return [[other for other in alike[key] if other != n] for n, key in enumerate(keys)]


def triples(work: Path, *, scenes: int, seed: int = TRAINING_WORLD) -> Triples:
    """The triples of `scenes` scenes, rendered on the first call and then read from `work`."""
    folder = work / f"triples-{seed}-{scenes}"
    if not (folder / "drawn.json").exists():
        _render(folder, scenes, seed)
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    drawn = [Drawn(*facts) for facts in json.loads((folder / "drawn.json").read_text("utf-8"))]
    return Triples(pictures, drawn)


def held_out(scenes: int) -> Triples:
    """Scenes and styles that no training sees: every scene in every held-out style."""
    facts, pictures = [], []
    for number in range(scenes):
        scene = World(HELD_OUT_WORLD, SIZE).scene(number)
        for style in HELD_OUT_STYLES:
            pictures.append(scene.render(style))
            facts.append(Drawn(number, style, scene.caption, scene.things))
    return Triples(np.stack(pictures), facts)


def _render(folder: Path, scenes: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    styles = max(_NAMELESS, scenes * _NAMELESS // _SHARED_BY)
    shape = (scenes * (2 + _NAMELESS), SIZE, SIZE, 3)
    pictures = np.lib.format.open_memmap(
        folder / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape
    )
    drawn: list[Drawn] = []
    jobs = [(seed, number, styles) for number in range(scenes)]
    for scene in in_parallel(_render_scene, jobs):
        for picture, facts in scene:
            pictures[len(drawn)] = picture
            drawn.append(facts)
    pictures.flush()
    # written last: its presence says that the pictures are complete
    partial = folder / "drawn.json.part"
    partial.write_text(json.dumps(drawn), "utf-8")
    os.replace(partial, folder / "drawn.json")


def _render_scene(job: tuple[int, int, int]) -> list[tuple[Pictures, Drawn]]:
    cv2.setNumThreads(1)
    seed, number, styles = job
    scene = World(seed, SIZE).scene(number)
    dice = np.random.default_rng((seed, number, 4))
    named = str(dice.choice(TRAINING_STYLES))
    pictures = [(scene.photo, PHOTO), (scene.render(named), named)]
    for style in map(int, dice.choice(styles, _NAMELESS, replace=False)):
        pictures.append((scene.painted(endless(style), _NAMELESS_DICE + style), str(style)))
    return [
        (picture, Drawn(number, style, scene.caption, scene.things)) for picture, style in pictures
    ]
