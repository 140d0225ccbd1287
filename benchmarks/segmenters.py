"""How well do segmenters find objects? IoU against the paired world's truth, and overlays to see.

    python benchmarks/segmenters.py [NAME ...] [--scenes 20] [--size 256] [-O side=512]
    python benchmarks/segmenters.py classic --photos FOLDER --out FOLDER

For every object of scenes that nothing was trained on (`World(1)`): the best IoU among the segments
of everything mode, the IoU of the first answer to one point (the object's innermost pixel), and to
the box around it; a SegmenterError counts 0. Objects below 0.15 % of the picture are left out.
`--photos` writes the segments of everything mode drawn over each photo, numbered. With
`deer1.jpg` and `deer1_deer.png`, …, in that folder, the masks count as the photo's objects.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any  # a segmenter's options

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import locstyle as ls

SMALLEST = 0.0015
KINDS = ("everything", "points", "boxes")
Objects = list[NDArray[np.bool_]]


@dataclass
class Scores:
    """IoUs by kind of prompt, segments a picture, seconds a picture for all its prompts."""

    iou: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    counts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["classic"])
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--size", type=int, default=256, help="side of a scene in pixels")
    parser.add_argument("--photos", type=Path, help="a folder of photos instead of the world")
    parser.add_argument("--out", type=Path, help="where overlays go")
    parser.add_argument("-O", dest="options", action="append", default=[], help="key=value")
    wanted = parser.parse_args()
    table = Table(title="mean IoU over objects")
    for column in ("segmenter", "objects", *KINDS, "segments", "s a picture"):
        table.add_column(column, justify="left" if column == "segmenter" else "right")
    for name in wanted.names:
        segmenter = _segmenter(name, wanted.options)
        scores = Scores()
        pictures = _photos(wanted.photos) if wanted.photos else _scenes(wanted.scenes, wanted.size)
        for title, picture, objects in pictures:
            found = score(segmenter, picture, objects, scores)
            if wanted.out:
                wanted.out.mkdir(parents=True, exist_ok=True)
                overlay(picture, found).save(wanted.out / f"{title}-{name}.png")
        table.add_row(name, *_row(scores))
    Console().print(table)


def score(
    segmenter: ls.Segmenter, picture: Image.Image, objects: Objects, scores: Scores
) -> list[ls.Segment]:
    """Everything in the picture; how well its objects were found is added to `scores`."""
    import locstyle as ls

    start = time.perf_counter()
    embedding = ls.embedded(segmenter, picture)
    everything = _answer(embedding, ls.Prompt())
    scores.counts.append(len(everything))
    for inside in objects:
        truth = ls.Segment.of(inside)
        asked = {
            "points": ls.Prompt(points=(_innermost(inside),)),
            "boxes": ls.Prompt(boxes=(tuple(map(float, truth.box)),)),
        }
        scores.iou["everything"].append(float(truth.overlaps(everything).max(initial=0)))
        for kind in sorted(asked.keys() & segmenter.prompts):
            answer = _answer(embedding, asked[kind])
            scores.iou[kind].append(truth.iou(answer[0]) if answer else 0.0)
    scores.seconds.append(time.perf_counter() - start)
    return everything


def overlay(picture: Image.Image, segments: list[ls.Segment]) -> Image.Image:
    """The picture with segments tinted, outlined and numbered, the smallest on top."""
    pixels = np.asarray(picture).astype(np.float32)
    draw = np.random.default_rng(3)
    for segment in segments:
        colour = np.array(cv2.applyColorMap(draw.integers(0, 256, (1, 1), np.uint8), 4))[0, 0]
        inside = segment.inside
        pixels[inside] = 0.7 * pixels[inside] + 0.3 * colour
        edge = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3))).astype(bool)
        pixels[edge] = colour
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for number, segment in enumerate(segments, start=1):
        pen.text(_innermost(segment.inside), str(number), "white", stroke_width=1, stroke_fill=0)
    return image


def _segmenter(name: str, given: list[str]) -> ls.Segmenter:
    import yaml

    import locstyle as ls

    options: dict[str, Any] = {}
    for pair in given:
        key, _, value = pair.partition("=")
        options[key] = yaml.safe_load(value)
    segmenter: ls.Segmenter = ls.default_host().segmenter(name, options)
    return segmenter


def _scenes(count: int, size: int) -> Iterator[tuple[str, Image.Image, Objects]]:
    from locstyle_plugins.world import World

    for number in range(count):
        scene = World(1, size).scene(number)
        masks = [scene.labels == label for label in range(len(scene.canvas.names))]
        objects = [inside for inside in masks if inside.mean() >= SMALLEST]
        yield f"scene-{number}", Image.fromarray(scene.photo), objects


def _photos(folder: Path) -> Iterator[tuple[str, Image.Image, Objects]]:
    import locstyle as ls

    for path in sorted(folder.glob("*.jpg")):
        picture = ls.Photo.open(path).srgb.convert("RGB")
        masks = [
            Image.open(file).convert("L") for file in sorted(folder.glob(f"{path.stem}_*.png"))
        ]
        yield path.stem, picture, [np.asarray(mask) > 127 for mask in masks]


def _answer(embedding: ls.Embedding, prompt: ls.Prompt) -> list[ls.Segment]:
    import locstyle as ls

    try:
        return embedding.segment(prompt)
    except ls.SegmenterError:
        return []


def _innermost(inside: NDArray[np.bool_]) -> tuple[float, float]:
    """(x, y) of the pixel furthest from the edge."""
    depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return float(x), float(y)


def _row(scores: Scores) -> list[str]:
    means = [f"{np.mean(scores.iou[kind]):.3f}" if scores.iou[kind] else "–" for kind in KINDS]
    figures = [f"{np.mean(scores.counts):.1f}", f"{np.mean(scores.seconds):.2f}"]
    return [str(len(scores.iou["everything"])), *means, *figures]


if __name__ == "__main__":
    main()
