"""Layers: masks on top of one another, of which any part of the partition is made when asked for.

A photo of 24 megapixels with eight regions would have nine planes of 96 MB; here a band of rows is
looked at once, and in it each region only where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from locstyle.errors import at
from locstyle.masks import refine
from locstyle.masks.mask import Mask
from locstyle.masks.partition import Partition
from locstyle.masks.sizes import check_size
from locstyle.masks.values import soften
from locstyle.photo import boxes
from locstyle.photo.boxes import Box
from locstyle.photo.canvas import Canvas, Means

Plane = NDArray[np.float32]

_BAND = 256  # rows looked at once


class _Band(NamedTuple):
    """The partition in some rows: planes by region where they are not 0; all else is nobody's.

    `rest` is the remainder's plane inside the box `near`, around which it is 1.
    """

    near: Box
    rest: Plane
    regions: dict[int, tuple[Box, Plane]]


@dataclass(frozen=True, eq=False)
class Layers:
    """Masks where later ones lie on top, their borders softened as by `Partition.feather`.

    Attributes:
        masks: of the regions, in order.
        widths: how far each region's border fades to both sides, in pixels.
        size: (height, width) of the photo.
        drawn: the layers that count, in order; what the others own is nobody's.
    """

    masks: tuple[Mask, ...]
    widths: tuple[float, ...]
    size: tuple[int, int]
    drawn: tuple[int, ...]

    @classmethod
    def of(
        cls,
        masks: Sequence[Mask],
        widths: float | Sequence[float] = 0.0,
        *,
        drawn: Sequence[int] | None = None,
    ) -> Self:
        """The layers of at least one mask; `widths` for all, or for each; `drawn`: None for all.

        Raises:
            MaskError: masks of different sizes, or a width that is not 0 to the longer side.
        """
        size = masks[0].size
        each = [widths] * len(masks) if isinstance(widths, int | float) else widths
        for index, (mask, width) in enumerate(zip(masks, each, strict=True)):
            check_size(mask.size, size, f"regions[{index}].mask")
            with at(f"regions[{index}]"):
                refine.check_pixels("feather", width, size)
        counted = range(len(masks)) if drawn is None else drawn
        return cls(tuple(masks), tuple(each), size, tuple(counted))

    @property
    def reach(self) -> int:
        """The farthest that any border fades, in pixels."""
        return ceil(max(self.widths))

    @property
    def supports(self) -> tuple[Box, ...]:
        """The smallest box (x0, y0, x1, y1) around all that each region reaches, faded border
        included."""
        return tuple(boxes.grown(mask.bounds, self.reach, self.size) for mask in self.masks)

    @property
    def weight(self) -> Mask:
        """What any region drawn owns: exactly 0 where nothing may change."""
        around = boxes.around(*(self.supports[index] for index in self.drawn))
        x0, y0, x1, y1 = around
        patch = np.zeros((y1 - y0, x1 - x0), np.float32)
        for band in self._bands(around):
            if self._all_drawn:
                patch[boxes.slices(band.near, (x0, y0))] = 1 - band.rest
                continue
            for index in self.drawn:
                if index in band.regions:
                    where, plane = band.regions[index]
                    patch[boxes.slices(where, (x0, y0))] += plane
        np.minimum(patch, 1, out=patch)  # sums of shares may round above it
        return Mask(torch.from_numpy(patch), corner=(x0, y0), size=self.size)

    def part(self, box: Box) -> Partition:
        """The partition inside a box (x0, y0, x1, y1) of the photo."""
        x0, y0, x1, y1 = box
        values = np.zeros((len(self.masks) + 1, y1 - y0, x1 - x0), np.float32)
        values[0] = 1
        for band in self._bands(box):
            values[0][boxes.slices(band.near, (x0, y0))] = band.rest
            for index, (where, plane) in band.regions.items():
                values[index + 1][boxes.slices(where, (x0, y0))] = plane
        return Partition(torch.from_numpy(values))

    def on(self, canvas: Canvas) -> Partition:
        """The partition of the padded canvas, for the sizes a backbone works at; of the layers
        drawn, and what is left."""
        values = self._on(canvas).values
        if self._all_drawn:
            return Partition(values)
        own = values[[1 + index for index in self.drawn]]
        return Partition(torch.cat([1 - own.sum(0, keepdim=True).clamp(max=1), own]))

    @property
    def _all_drawn(self) -> bool:
        return self.drawn == tuple(range(len(self.masks)))

    def _on(self, canvas: Canvas) -> Partition:
        height, width = self.size
        everything = 0, 0, width, height
        if canvas.content == self.size:
            return self.part(everything).on(canvas)
        means = [Means(self.size, canvas.content, (0, width), unsaid=1)]
        for x0, _, x1, _ in self.supports:
            means.append(Means(self.size, canvas.content, (x0, x1)))
        for band in self._bands(everything):
            self._add(means, band)
        return Partition(canvas.pad(torch.stack([one.finished() for one in means])))

    def _add(self, means: Sequence[Means], band: _Band) -> None:
        _, top, _, bottom = band.near
        rest = np.ones((bottom - top, self.size[1]), np.float32)
        rest[boxes.slices(band.near, (0, top))] = band.rest
        means[0].add(rest, top)
        for index, ((_, top, _, _), plane) in band.regions.items():
            means[index + 1].add(plane, top)

    def _bands(self, box: Box) -> Iterator[_Band]:
        """The partition inside a box, band by band; bands without any region are left out."""
        x0, top, x1, end = box
        step = max(_BAND, 2 * self.reach)
        for y0 in range(top, end, step):
            rows = x0, y0, x1, min(y0 + step, end)
            regions = {i: boxes.common(one, rows) for i, one in enumerate(self.supports)}
            near = boxes.around(*regions.values())
            if not boxes.is_empty(near):
                where = {i: one for i, one in regions.items() if not boxes.is_empty(one)}
                yield self._softened(near, where)

    def _softened(self, near: Box, where: dict[int, Box]) -> _Band:
        """The partition inside the box `near`, which regions reach in the boxes `where`."""
        corner = near[0], near[1]
        wide = boxes.grown(near, self.reach, self.size)
        rest, hard = self._stacked(wide, where)
        nobodys = soften(rest, max(self.widths))[boxes.slices(near, wide[:2])].copy()
        total, regions = nobodys.copy(), {}
        for index, box in where.items():
            own = boxes.common(self.supports[index], wide)
            plane = soften(hard[index], self.widths[index])[boxes.slices(box, own[:2])].copy()
            total[boxes.slices(box, corner)] += plane
            regions[index] = box, plane
        nobodys /= total
        for box, plane in regions.values():
            plane /= total[boxes.slices(box, corner)]
        return _Band(near, nobodys, regions)

    def _stacked(self, wide: Box, where: dict[int, Box]) -> tuple[Plane, dict[int, Plane]]:
        """What nobody owns inside the box `wide`, and each region as far as it reaches in it."""
        x0, y0, x1, y1 = wide
        rest, hard = np.ones((y1 - y0, x1 - x0), np.float32), {}
        for index in reversed(where):
            mask, own = self.masks[index], boxes.common(self.supports[index], wide)
            inside = boxes.common(mask.bounds, wide)
            values = mask.part(inside).numpy()
            left = rest[boxes.slices(inside, (x0, y0))]
            plane = np.zeros((own[3] - own[1], own[2] - own[0]), np.float32)
            plane[boxes.slices(inside, own[:2])] = values * left
            hard[index] = plane
            left *= 1 - values
        return rest, hard


def shared(masks: Sequence[Mask]) -> float:
    """The share of the photo that more than one of the masks claims; soft pixels count partly."""
    pairs = [boxes.common(a.bounds, b.bounds) for a, b in combinations(masks, 2)]
    x0, top, x1, end = boxes.around(*pairs)
    total = 0.0
    for y0 in range(top, end, _BAND):
        box = x0, y0, x1, min(y0 + _BAND, end)
        most = np.zeros((box[3] - y0, x1 - x0), np.float32)
        second = np.zeros_like(most)
        for mask in masks:
            common = boxes.common(mask.bounds, box)
            values, place = mask.part(common).numpy(), boxes.slices(common, (x0, y0))
            second[place] = np.maximum(second[place], np.minimum(most[place], values))
            most[place] = np.maximum(most[place], values)
        total += float(second.sum(dtype=np.float64))
    return total / (masks[0].size[0] * masks[0].size[1]) if masks else 0.0
