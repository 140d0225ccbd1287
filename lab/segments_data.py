"""Scenes of the paired world as ultralytics' segmentation data: pictures and outlines, one class.

Things and stuff alike are objects, as in SA-1B (arXiv:2304.02643), whose masks FastSAM learns from.
"""

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from locstyle_plugins.world import TRAINING_STYLES, World, WorldScene
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
SIZE = 256  # side of a picture in pixels

_SMALLEST = 0.0015  # of the picture; smaller objects are left out
_SMALLEST_PART = 0.08  # of the object's largest part
_STYLISED = 0.35  # of the scenes appear a second time, in a style
_DEGRADED = 0.6  # of the pictures
_CORNER = 0.6  # pixels by which an outline may miss its object


@dataclass(frozen=True)
class Rendering:
    """One scene to render into a folder with `images/` and `labels/`."""

    folder: Path
    seed: int
    number: int


def render_data(work: Path, *, scenes: int, held_out: int = 60) -> Path:
    """The data description for ultralytics; scenes already in `work` are not rendered again.

    Training scenes are numbers 0 to `scenes` of `World(0)`; those to choose by come from its end.
    """
    renderings = [Rendering(work / "train", 0, number) for number in range(scenes)]
    renderings += [Rendering(work / "val", 0, 1_000_000 + number) for number in range(held_out)]
    for name in ("train", "val"):
        for kind in ("images", "labels"):
            (work / name / kind).mkdir(parents=True, exist_ok=True)
    missing = [rendering for rendering in renderings if not _label(rendering, 0).exists()]
    # spawn: forking a process that already runs torch threads can hang
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for _ in pool.imap_unordered(render, missing, chunksize=8):
            pass
    description = work / "data.yaml"
    description.write_text(
        f"path: {work.resolve()}\ntrain: train/images\nval: val/images\nnames: {{0: object}}\n"
    )
    return description


def render(rendering: Rendering) -> None:
    """Write the scene's photo, for some also its picture in a style, each with its outlines."""
    cv2.setNumThreads(1)
    scene = World(rendering.seed, SIZE).scene(rendering.number)
    rng = np.random.default_rng((rendering.seed, rendering.number, 4))
    pictures = [scene.photo]
    if rng.random() < _STYLISED:
        pictures.append(scene.render(str(rng.choice(TRAINING_STYLES))))
    lines = "\n".join(
        "0 " + " ".join(f"{value:.5f}" for value in outline.ravel()) for outline in outlines(scene)
    )
    for order, picture in reversed(list(enumerate(pictures))):
        image = rendering.folder / "images" / f"{rendering.number}-{order}.png"
        cv2.imwrite(str(image), cv2.cvtColor(degrade(picture, rng), cv2.COLOR_RGB2BGR))
        _label(rendering, order).write_text(lines)  # the first picture's last: all are there


def _label(rendering: Rendering, order: int) -> Path:
    return rendering.folder / "labels" / f"{rendering.number}-{order}.txt"


def outlines(scene: WorldScene) -> list[NDArray[np.float32]]:
    """The outline [N, 2] of every object large enough, x and y as fractions of the side.

    An outline runs around holes: where objects overlap, ultralytics gives a pixel to the smallest.
    """
    found = []
    for _, mask in scene.instances:
        if mask.mean() < _SMALLEST:
            continue
        parts, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        areas = [cv2.contourArea(part) for part in parts]
        kept = [
            cv2.approxPolyDP(part, _CORNER, True)[:, 0]
            for part, area in zip(parts, areas, strict=True)
            if area > max(8, _SMALLEST_PART * max(areas))
        ]
        if kept:
            found.append(_joined(kept) / np.float32(mask.shape[0]))
    return found


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.float32]:
    """One outline through all parts, over the shortest bridges, there and back."""
    whole = parts[0].astype(np.float32)
    for part in sorted(map(np.float32, parts[1:]), key=len):
        gaps = ((whole[:, None] - part[None]) ** 2).sum(-1)
        here, there = np.unravel_index(gaps.argmin(), gaps.shape)
        loop = np.concatenate([part[there:], part[: there + 1]])
        whole = np.concatenate([whole[: here + 1], loop, whole[here:]])
    return whole + 0.5  # contours run through the pixels' centres


def degrade(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture as a poor camera would keep it: exposure, blur, noise, JPEG; some stay clean."""
    if rng.random() > _DEGRADED:
        return picture
    image = (picture / np.float32(255)) ** np.float32(rng.uniform(0.7, 1.4))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    grain = rng.normal(0, rng.uniform(0, 0.06), image.shape)
    image = ((image + grain).clip(0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)
