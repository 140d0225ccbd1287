"""Frames: the windows of a photo that are denoised on their own, and who is drawn in which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

import torch

from locstyle.edit import Framing
from locstyle.engine.tiles import ROOM, Tiles
from locstyle.job.framed import framed
from locstyle.job.parts import MOST, Part, around, parts_of, touching
from locstyle.masks import Layers, Mask
from locstyle.photo import boxes
from locstyle.photo.boxes import Box
from locstyle.photo.canvas import Canvas

if TYPE_CHECKING:
    from locstyle.edit import Edit
    from locstyle.engine.backbone import Backbone

CONTEXT = 0.25
"""What a frame shows around its regions, as a share of their box's mean side, to each side."""

WHOLE = 0.8
"""The share of the photo from which a frame is the whole of it."""

FEWEST = 16
"""Latent pixels along the longer side of a region, below which it is drawn as a smear; half of what
a small backbone has in all."""

WORTH = 1.5
"""How much finer a small region must come out to be worth a frame of its own."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A window of the photo that is denoised on its own.

    `regions` are the indices of the regions drawn here, `parts` all connected parts that touch
    them, of whatever region: they decide how the borders fade. `tiles` are those of its latent.
    """

    canvas: Canvas
    regions: tuple[int, ...]
    parts: tuple[Part, ...]
    tiles: Tiles

    @property
    def framing(self) -> Framing:
        """How a finished edit writes it down."""
        return Framing(self.canvas.box, self.canvas.content, self.regions)

    def describe(self) -> str:
        """Regions, working size and tiles in one line."""
        (height, width), count = self.canvas.padded, len(self.tiles.tiles)
        regions = ", ".join(str(region + 1) for region in self.regions)
        tiled = f" in {count} tiles" if count > 1 else ""
        return f"region{'s' * (len(self.regions) > 1)} {regions} at {width} × {height}{tiled}"

    def tile_boxes(self) -> list[Box]:
        """The windows of its tiles in photo pixels."""
        x0, y0, x1, y1 = self.canvas.box
        across = self.canvas.padded[1] / self.tiles.size[1] / self.canvas.scale
        found = []
        for tile in self.tiles.tiles:
            left, top = x0 + round(tile.left * across), y0 + round(tile.top * across)
            right = min(x1, left + round(tile.width * across))
            found.append((left, top, right, min(y1, top + round(tile.height * across))))
        return found

    def layers(self, masks: Sequence[Mask], widths: Sequence[float]) -> Layers:
        """Who owns the window, its borders softened by `widths` (photo pixels, one a region).

        It is the photo's own partition, cut to the window, of the regions drawn here, in order;
        what others own that touch them counts as nobody's.
        """
        near = sorted({part.region for part in self.parts})
        crops = [self._mask(masks[region], region) for region in near]
        drawn = tuple(near.index(region) for region in self.regions)
        return Layers.of(crops, [widths[region] for region in near], drawn=drawn)

    def _mask(self, mask: Mask, region: int) -> Mask:
        """The region's mask in the window, without the parts that lie elsewhere."""
        crop = mask.crop(self.canvas.box)
        own = [part for part in self.parts if part.region == region]
        if len(own) == own[0].all or not crop.patch.numel():
            return crop
        (x, y), (x0, y0, x1, y1) = self.canvas.box[:2], crop.bounds
        held = torch.zeros(crop.patch.shape, dtype=torch.bool)
        for part in own:
            held |= torch.from_numpy(part.held((x0 + x, y0 + y, x1 + x, y1 + y)))
        return Mask(crop.patch * held, corner=crop.corner, size=crop.size)


@dataclass(frozen=True)
class Detail:
    """How finely windows of a photo of `size` (height, width) are drawn on a backbone.

    `working`, `native`: image sides in pixels, of the largest picture it draws well at once and of
    those it was trained at; see `Backbone`. `factor`, `multiple`: as there.
    """

    size: tuple[int, int]
    working: int
    native: int
    factor: int
    multiple: int

    @classmethod
    def of(cls, size: tuple[int, int], backbone: Backbone, side: float = 1.0) -> Detail:
        """That of a backbone; with `side` below 1 a preview's, on that share of its sides."""
        working, native = round(side * backbone.working), round(side * backbone.native)
        return cls(size, working, native, backbone.factor, backbone.multiple)

    @property
    def finest(self) -> float:
        """The photo's own pixels, or what fills the working size where it has fewer."""
        return max(1.0, self.working / sqrt(self.size[0] * self.size[1]))

    def scale(self, box: Box) -> float:
        """As finely as the working size allows for a window; working pixels a photo pixel."""
        return min(self.finest, self.working / sqrt(_area(box)))

    def around(self, box: Box, margin: int = 0) -> Box:
        """A box with what a frame shows around it, `margin` photo pixels to each side at least."""
        return boxes.grown(box, max(margin, ceil(CONTEXT * sqrt(_area(box)))), self.size)

    def canvas(self, box: Box, margin: int, asked: float | None) -> Canvas:
        """The canvas of a frame around `box`, with `margin` photo pixels to each side at least.

        `asked`: working pixels a photo pixel; None for as many as the working size allows.
        """
        window = self.around(box, margin)
        if asked is None and _area(window) * self.finest**2 < self.native**2:
            window = _grown(window, self.native / self.finest, self.size)
        if _area(window) >= WHOLE * self.size[0] * self.size[1]:
            window = (0, 0, self.size[1], self.size[0])
        scale = self.scale(window) if asked is None else asked
        return Canvas.scaled(self.size, window, scale=scale, multiple=self.multiple)

    def frame(
        self, canvas: Canvas, regions: Sequence[int], parts: Sequence[Part], asked: float | None
    ) -> Frame:
        """A frame on a canvas, cut into tiles where one pass would not draw it well.

        `asked`: as in `canvas`; what is as fine as one pass allows is one tile, however it is
        padded.
        """
        side, multiple = self.working // self.factor, self.multiple // self.factor
        tiles = Tiles.of(self.latent_size(canvas), side, multiple)
        if asked is None or canvas.content[0] * canvas.content[1] <= ROOM * self.working**2:
            tiles = Tiles.whole(tiles.size)
        return Frame(canvas, tuple(regions), tuple(parts), tiles.showing(canvas.size))

    def latent_size(self, canvas: Canvas) -> tuple[int, int]:
        """(height, width) of a canvas in latent pixels."""
        return canvas.padded[0] // self.factor, canvas.padded[1] // self.factor

    def gains(self, box: Box, common: float, alone: float) -> bool:
        """Whether what is in a box comes out as a smear at the scale `common`, and not `alone`."""
        return self.latents(box, common) < self.fewest and alone > WORTH * common

    @property
    def fewest(self) -> float:
        """The latent pixels along its longer side that a region needs."""
        return min(FEWEST, self.working / self.factor / 2)

    def latents(self, box: Box, scale: float) -> float:
        """The latent pixels along the longer side of a box."""
        return max(box[2] - box[0], box[3] - box[1]) * scale / self.factor


def frames_of(edit: Edit, masks: Sequence[Mask], detail: Detail) -> tuple[Frame, ...]:
    """The frames of an edit, in the order of their first region.

    Regions that touch share a frame. One that sets a `detail` of its own, or would come out too
    small beside the others, gets its own and meets them in the paste. With a `size` there is one
    frame, the whole photo.
    """
    parts = [part for index, mask in enumerate(masks) for part in parts_of(mask, index)]
    if edit.size is not None:
        size = None if isinstance(edit.size, str) else edit.size  # "native"
        whole = Canvas.fit(detail.size, size=size, native=detail.native, multiple=detail.multiple)
        one = Tiles.whole(detail.latent_size(whole))  # as asked, however large
        one = one.showing(detail.size)
        return (Frame(whole, tuple(range(len(masks))), tuple(parts), one),)
    wishes = [Wish.of(edit, index) for index in range(len(masks))]

    def reach(part: Part) -> float:
        wish = wishes[part.region]
        return wish.margin + detail.factor / (wish.scale or detail.scale(part.box))

    groups = touching(parts, reach)
    found = _found(groups, detail, wishes)
    if not edit.frames or edit.frames == tuple(frame.framing for frame in found):
        return found
    return tuple(framed(edit.frames, groups, detail, wishes))  # drawn by other rules


def _found(
    groups: Sequence[Sequence[Part]], detail: Detail, wishes: Sequence[Wish]
) -> tuple[Frame, ...]:
    found: list[Frame] = []
    for number, group in enumerate(groups, start=1):
        room = MOST - len(found) - (len(groups) - number) - 1
        found += _frames_of_group(group, detail, wishes, room)
    return tuple(sorted(found, key=lambda frame: (frame.regions, frame.canvas.box)))


@dataclass(frozen=True)
class Wish:
    """What a region asks of its frame: `scale` in working pixels a photo pixel, None for as fine as
    it gets, `own` where it is the region's own wish, and the `margin` its feathers need."""

    scale: float | None
    own: bool
    margin: int

    @classmethod
    def of(cls, edit: Edit, index: int) -> Wish:
        region = edit.regions[index]
        asked = edit.detail if region.detail is None else region.detail
        feathers = (
            getattr(edit, name) if getattr(region, name) is None else getattr(region, name)
            for name in ("feather", "paste_feather")
        )
        scale = None if asked == "auto" else float(asked)
        return cls(scale, region.detail is not None, ceil(max(feathers)) + 1)


def _frames_of_group(
    group: Sequence[Part], detail: Detail, wishes: Sequence[Wish], room: int
) -> Iterator[Frame]:
    """The frames of regions that touch: one of all, and those that need their own.

    Beside those that ask for it, the `room` regions that gain most by a frame of their own get it.
    """
    boxes = {
        region: around([part for part in group if part.region == region])
        for region in sorted({part.region for part in group})
    }
    margin = max(wishes[region].margin for region in boxes)
    common = detail.canvas(around(group), margin, wishes[min(boxes)].scale)
    alone = {
        region: detail.canvas(box, margin, wishes[region].scale) for region, box in boxes.items()
    }
    asking = [region for region in boxes if wishes[region].own and len(boxes) > 1]
    gaining = [
        region
        for region, box in boxes.items()
        if len(boxes) > 1 and detail.gains(box, common.scale, alone[region].scale)
    ]
    gaining.sort(key=lambda region: -alone[region].scale)
    own = {*asking, *gaining[: max(0, room)]}
    for region in sorted(own):
        yield detail.frame(alone[region], (region,), group, wishes[region].scale)
    if rest := tuple(region for region in boxes if region not in own):
        parts = [part for part in group if part.region in rest]
        asked = wishes[rest[0]].scale
        yield detail.frame(detail.canvas(around(parts), margin, asked), rest, group, asked)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _grown(box: Box, side: float, size: tuple[int, int]) -> Box:
    """The box grown towards a square of `side`, as far as the photo reaches on either axis."""
    x0, x1 = _stretched(box[0], box[2], side, size[1])
    # What one axis cannot give, the other may.
    y0, y1 = _stretched(box[1], box[3], side * side / (x1 - x0), size[0])
    return x0, y0, x1, y1


def _stretched(start: int, stop: int, length: float, most: int) -> tuple[int, int]:
    wanted = min(most, max(stop - start, ceil(length)))
    start = min(max(0, start - (wanted - (stop - start)) // 2), most - wanted)
    return start, start + wanted
