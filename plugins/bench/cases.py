"""What a benchmark is run on: photos with masks and styles, with or without a known truth."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World, WorldScene
from numpy.typing import NDArray

from .results import CaseFacts, RegionFacts

Picture: TypeAlias = NDArray[np.uint8]  # [H, W, 3]
Area: TypeAlias = NDArray[np.bool_]  # [H, W]

STYLE_SCENE = 25  # what a style's one picture shows: things, ground and sky; never a case
FIRST_SCENE = 2000  # past those that training reports on
SPREAD = 1000  # scene numbers kept for each number of regions, so that cases never repeat a scene
SHARE = (0.04, 0.7)  # of the picture that a region may cover
DEPTH = 1 / 32  # of the picture's side: only what lies deeper in a region has a texture of its own


@dataclass(frozen=True, eq=False)
class StylePicture:
    """The one picture a style is learned from."""

    name: str
    picture: Picture

    @property
    def prompt(self) -> str:
        """The words the style answers to."""
        return f"a painting in {self.name} style"


@dataclass(frozen=True, eq=False)
class Case:
    """A photo with disjoint regions, each with its style.

    `truths` are the whole photo in each region's style and `redrawn` the same with every stroke
    fallen elsewhere; both None where nobody knows. `group` names the scene.
    """

    name: str
    group: str
    caption: str
    photo: Picture
    shown: tuple[str, ...]  # what each region shows
    masks: tuple[Area, ...]
    styles: tuple[StylePicture, ...]
    truths: tuple[Picture, ...] | None = None
    redrawn: tuple[Picture, ...] | None = None

    @property
    def facts(self) -> CaseFacts:
        regions = (
            RegionFacts(shown, style.name, float(mask.mean()))
            for shown, style, mask in zip(self.shown, self.styles, self.masks, strict=True)
        )
        return CaseFacts(self.name, self.caption, tuple(regions), self.group)

    @property
    def digest(self) -> str:
        """sha256 of all that a score depends on, so that an old record is known for one."""
        total = hashlib.sha256(self.caption.encode())
        pictures = [style.picture for style in self.styles]
        for array in (self.photo, *self.masks, *pictures, *(self.truths or ()),
                      *(self.redrawn or ())):  # fmt: skip
            total.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def without_last(self) -> Case:
        """The same case with its last region left alone."""
        truths, redrawn = (some and some[:-1] for some in (self.truths, self.redrawn))
        return replace(
            self,
            shown=self.shown[:-1],
            masks=self.masks[:-1],
            styles=self.styles[:-1],
            truths=truths,
            redrawn=redrawn,
        )


def world_cases(
    scenes: int, regions: Sequence[int], size: int, styles: Sequence[str] | None = None
) -> Iterator[Case]:
    """`scenes` cases of every number of regions, from the held-out world, always the same ones.

    `styles` default to those held out of the backbone's training and rotate, so that all are met
    about equally. A scene belongs to one case only.
    """
    styles = styles or HELD_OUT_STYLES
    drawn = {style: style_picture(style, size) for style in styles}
    for count in regions:
        for index, (number, scene) in enumerate(_scenes(scenes, count, size)):
            first = count - 1 + index * count
            chosen = [styles[(first + region) % len(styles)] for region in range(count)]
            yield _case(scene, number, count, [drawn[style] for style in chosen])


def style_picture(style: str, size: int) -> StylePicture:
    """A style's one picture: another scene of the held-out world."""
    return StylePicture(style, World(HELD_OUT_WORLD, size).scene(STYLE_SCENE).render(style))


def slug(text: str) -> str:
    """The text as a file's name: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _scenes(wanted: int, count: int, size: int) -> Iterator[tuple[int, WorldScene]]:
    """The first scenes with `count` regions large enough to have a texture."""
    world, found = World(HELD_OUT_WORLD, size), 0
    number = FIRST_SCENE + SPREAD * (count - 1)
    while found < wanted:
        scene = world.scene(number)
        if len(_eligible(scene)) >= count:
            yield number, scene
            found += 1
        number += 1


def _eligible(scene: WorldScene) -> dict[str, Area]:
    """The regions that are neither everything nor, less their rims, next to nothing."""
    low, high = SHARE
    return {
        name: mask
        for name, mask in scene.masks.items()
        if _inner(mask) >= low and mask.mean() <= high
    }


def _inner(mask: Area) -> float:
    """The share of the picture that lies deep in the region."""
    import cv2

    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return float((depth > DEPTH * mask.shape[0]).mean())


def _case(scene: WorldScene, number: int, count: int, styles: Sequence[StylePicture]) -> Case:
    by_size = sorted(_eligible(scene).items(), key=lambda entry: -float(entry[1].mean()))
    # the largest, rather things than the one ground behind them all
    spare = 1 if len(by_size) > count else 0
    masks = dict(by_size[spare : spare + count])
    # another seed lets every stroke fall elsewhere and leaves the scene as it is
    again = replace(scene, seed=(HELD_OUT_WORLD + 1, number))
    return Case(
        name=f"scene-{number}",
        group=f"scene-{number}",
        caption=scene.caption,
        photo=scene.photo,
        shown=tuple(masks),
        masks=tuple(masks.values()),
        styles=tuple(styles),
        truths=tuple(scene.render(style.name) for style in styles),
        redrawn=tuple(again.render(style.name) for style in styles),
    )
