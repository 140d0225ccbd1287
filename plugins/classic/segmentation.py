"""A photo as `classic` segments it: small, in regions, ready for any number of prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

import locstyle as ls

from .cutting import Seeds, cut
from .edges import drawn_to_edges
from .regions import Regions, find_regions

if TYPE_CHECKING:
    from PIL.Image import Image

    from . import Classic

_DOT = 0.012  # of the longest side: how far around a point all is certain
_CONTEXT = 0.6  # of a box's side: how much around it is looked at
_SPECK = 0.03  # of the largest piece; smaller ones are dropped

Picture = NDArray[np.uint8]
Corners = tuple[int, int, int, int]


@dataclass(frozen=True)
class Segmentation:
    """The photo [H, W, 3], and what is found in it once somebody asks; an `ls.Embedding`."""

    photo: Picture
    options: Classic.Options

    @classmethod
    def of(cls, image: Image, options: Classic.Options) -> Segmentation:
        return cls(np.asarray(image.convert("RGB")), options)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the photo."""
        return self.photo.shape[0], self.photo.shape[1]

    @cached_property
    def regions(self) -> Regions:
        """The regions of the photo made small."""
        small = _small(self.photo, self.options.side)
        options = self.options
        return find_regions(small, options.scale, options.levels, options.smallest)

    @cached_property
    def objects(self) -> list[ls.Segment]:
        """Every region and join of regions as segments of the photo, numbered by size."""
        from scipy.ndimage import find_objects

        labels = drawn_to_edges(self.regions.labels, self.photo)
        parts = {}
        for label, place in enumerate(find_objects(labels + 1)):
            if place is not None:
                inside = np.zeros(self.size, bool)
                inside[place] = labels[place] == label
                parts[label] = ls.Segment.of(inside)
        groups = [[parts[i] for i in sorted(g) if i in parts] for g in self.regions.groups]
        return ls.order_segments(group[0].joined(group[1:]) for group in groups if group)

    def segment(self, prompt: ls.Prompt) -> list[ls.Segment]:
        """Segments for a prompt, best first; for points also the regions around them."""
        from . import Classic

        ls.check_prompt("classic", prompt, self.size, Classic.prompts)
        if prompt.everything:
            return self.objects
        around = self._around(prompt)
        best = self._cut(prompt, around)
        alternatives = []
        if prompt.kinds == {"points"}:
            try:
                alternatives = ls.hit(self.objects, prompt, name="classic")
            except ls.SegmenterError:
                pass
        return [best, *alternatives]

    def _around(self, prompt: ls.Prompt) -> Corners:
        """The part of the photo that is looked at: boxes with some context, else all of it."""
        height, width = self.size
        if not prompt.boxes or prompt.points or prompt.scribble is not None:
            return 0, 0, width, height
        x0, y0 = (min(box[i] for box in prompt.boxes) for i in (0, 1))
        x1, y1 = (max(box[i] for box in prompt.boxes) for i in (2, 3))
        across, down = _CONTEXT * (x1 - x0) + 8, _CONTEXT * (y1 - y0) + 8
        return (
            max(0, int(x0 - across)),
            max(0, int(y0 - down)),
            min(width, round(x1 + across)),
            min(height, round(y1 + down)),
        )

    def _cut(self, prompt: ls.Prompt, around: Corners) -> ls.Segment:
        x0, y0, x1, y1 = around
        part = self.photo[y0:y1, x0:x1]
        small = _small(part, self.options.side)
        seeds = self._seeds(prompt, around, (small.shape[0], small.shape[1]))
        inside = _tidied(cut(small, seeds, self.options.rounds), seeds)
        if not inside.any():
            raise ls.NothingError(
                "segmenter 'classic': found no object there that differs from what is around it; "
                "try a box that leaves some background around it, or scribbles"
            )
        found = np.zeros(self.size, bool)
        found[y0:y1, x0:x1] = drawn_to_edges(inside.astype(np.intp), part) > 0
        return ls.Segment.of(found)

    def _seeds(self, prompt: ls.Prompt, around: Corners, size: tuple[int, int]) -> Seeds:
        """What a prompt says about the pixels of the small picture [h, w]."""
        x0, y0, x1, y1 = around
        scale = np.array([size[1] / (x1 - x0), size[0] / (y1 - y0)])
        seeds = Seeds.nothing(size)
        for box in prompt.boxes:
            left, top, right, bottom = (np.array([box[:2], box[2:]]) - (x0, y0)).ravel() * np.tile(
                scale, 2
            )
            rows = slice(int(top), max(round(bottom), int(top) + 1))
            columns = slice(int(left), max(round(right), int(left) + 1))
            seeds.likely[rows, columns] = True
        if prompt.boxes:
            seeds.outside[~seeds.likely] = True
        radius = max(1, round(_DOT * max(size)))
        for points, marks in ((prompt.points, seeds.inside), (prompt.outside, seeds.outside)):
            for point in points:
                x, y = ((np.array(point) - (x0, y0)) * scale).astype(int).tolist()
                canvas = marks.astype(np.uint8)
                cv2.circle(canvas, (x, y), radius, 1, -1)
                marks |= canvas.astype(bool)
        if prompt.scribble is not None:
            seeds.inside[_shrunk(prompt.scribble > 0, size)] = True
            seeds.outside[_shrunk(prompt.scribble < 0, size)] = True
        if not prompt.boxes:
            self._guess(seeds, prompt)
        return seeds

    def _guess(self, seeds: Seeds, prompt: ls.Prompt) -> None:
        """Without a box, the regions under what is inside are likely inside, too."""
        labels = self.regions.labels
        touched = np.unique(labels[seeds.inside])
        refused = np.unique(labels[seeds.outside])
        wanted = [g for g in self.regions.groups if g & set(touched.tolist())]
        wanted = [g for g in wanted if not g & set(refused.tolist())]
        chosen = set(touched.tolist()) - set(refused.tolist())
        if wanted:
            chosen |= min(wanted, key=lambda g: self.regions.areas[list(g)].sum())
        seeds.likely[np.isin(labels, list(chosen))] = True


def _small(photo: Picture, side: int) -> Picture:
    factor = side / max(photo.shape[:2])
    if factor >= 1:
        return np.ascontiguousarray(photo)
    height, width = (max(1, round(n * factor)) for n in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def _shrunk(marks: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Strokes made small; thin ones stay."""
    shares = cv2.resize(marks.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return shares > 0.15


def _tidied(inside: NDArray[np.bool_], seeds: Seeds) -> NDArray[np.bool_]:
    """The pieces that were pointed at, or else all but specks; without holes nobody asked for."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    touched = np.unique(labels[seeds.inside & inside])
    keeps = np.isin(np.arange(len(areas)), touched) if len(touched) else areas > 0
    keeps &= areas >= _SPECK * areas.max()
    kept = keeps[labels]
    outside = np.pad((~kept).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2, flags=4)
    return (outside[1:-1, 1:-1] != 2) & ~seeds.outside
