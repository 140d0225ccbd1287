"""The contact sheet of segments: all of them numbered on the photo, then each one by itself.

The eight that people ask for first stand large; what lies in one of them stands after it.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from locstyle.segments import Segment
from locstyle.segments.nesting import USEFUL, families
from locstyle.sheet import GAP, INK, PAPER, contact_sheet

CELL, COLUMNS, MOST_CELLS = 200, 6, 96
LARGE, LARGE_COLUMNS = 304, 4
WIDTH = COLUMNS * (CELL + GAP) - GAP  # of the overlay, pixels; also its greatest height
_LINE = 20
_GOLDEN = (5**0.5 - 1) / 2
Pixels = NDArray[np.uint8]


def segment_sheet(picture: Image.Image, segments: Sequence[Segment]) -> Image.Image:
    """The sheet of a picture's segments, numbered from 1 in their order.

    First, large, the `USEFUL` largest that lie in no other; then, small, what lies in each of them,
    and the rest, each followed by what lies in it. At most about 1300 x 5000 pixels whatever the
    picture: of more than 96 segments so many stand alone, all are on the overlay. Full-size masks
    are decoded one at a time.
    """
    size = _sheet_size((picture.height, picture.width))
    small = [shrunk(segment, size) for segment in segments]
    scaled = picture.convert("RGB").resize(size[::-1], Image.Resampling.BOX)
    head, hidden = overlay(scaled, small)
    remarks = _remarks(len(segments), hidden)
    order = families(small)
    first = [family[0] for family in order[:USEFUL]]
    inside = {family[0]: family[1:] for family in order}
    folded = [i for one in first for i in inside[one]]
    rest = folded + [i for family in order[USEFUL:] for i in family]
    labels = {i: _label(i + 1, segment) for i, segment in enumerate(segments)}
    for parent, parts in inside.items():
        labels[parent] += f" + {len(parts)} in it" if parts else ""
        labels |= {part: f"{labels[part]}, in {parent + 1}" for part in parts}

    def cells(indices: Sequence[int], side: int) -> list[tuple[str, Image.Image]]:
        thumb = scaled.copy()
        thumb.thumbnail((side, side), Image.Resampling.BOX)
        return [(labels[i], _alone(thumb, small[i], colour(i + 1))) for i in indices]

    grids = [contact_sheet(cells(first, LARGE), LARGE_COLUMNS, cell=LARGE)]
    if rest:
        rest = rest[: MOST_CELLS - len(first)]
        grids.append(contact_sheet(cells(rest, CELL), COLUMNS, cell=CELL))
    return _stacked(head, remarks, grids)


def overlay(picture: Image.Image, segments: Sequence[Segment]) -> tuple[Image.Image, list[int]]:
    """A picture with its segments coloured and numbered, small ones on top, and who is unseen.

    A number stands where its segment's visible part is widest. A segment that others cover wholly
    has no place for one; these are the numbers given back.
    """
    owners = _owners(segments)
    colours = np.array([(0, 0, 0), *(colour(n + 1) for n in range(len(segments)))], np.float32)
    pixels = np.asarray(picture, np.float32)
    owned = (owners > 0)[..., None]
    tinted = np.where(owned, 0.5 * pixels + 0.5 * colours[owners], 0.6 * pixels)
    tinted[_borders(owners)] = 255
    drawn = Image.fromarray(tinted.astype(np.uint8))
    pen, hidden = ImageDraw.Draw(drawn), []
    for number, segment in enumerate(segments, start=1):
        x0, y0, x1, y1 = segment.box
        place = widest(owners[y0:y1, x0:x1] == number)
        if place is None:
            hidden.append(number)
        else:
            _write(pen, str(number), x0 + place[0], y0 + place[1], place[2])
    return drawn, hidden


def widest(visible: NDArray[np.bool_]) -> tuple[int, int, float] | None:
    """(x, y, radius) of the largest circle in what is `visible` [H, W]; None if nothing is.

    The array's border counts as an edge, so that nothing is written across it.
    """
    if not visible.any():
        return None
    part = np.pad(visible.astype(np.uint8), 1)
    distance = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    _, radius, _, (x, y) = cv2.minMaxLoc(distance)
    return x - 1, y - 1, radius


def colour(number: int) -> tuple[int, int, int]:
    """The colour of a number: neighbours in the list lie far apart in hue, then in lightness."""
    tone = ((0.85, 1.0), (0.45, 1.0), (0.9, 0.62))[number % 3]
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, *tone)
    return round(255 * red), round(255 * green), round(255 * blue)


def shrunk(segment: Segment, size: tuple[int, int]) -> Segment:
    """The segment at another size (height, width), never empty, run-length coded again."""
    # Decoded masks lie in memory column by column; turned, they are not copied once more.
    turned = segment.inside.T.astype(np.uint8) * 255
    way = cv2.INTER_NEAREST if size[0] >= segment.size[0] else cv2.INTER_AREA
    shares = cv2.resize(turned, size, interpolation=way).T
    return Segment.of(shares >= min(128, int(shares.max())))


def _sheet_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that fits WIDTH both ways; enlarged by whole factors only."""
    scale = WIDTH / max(size)
    scale = int(scale) if scale > 1 else scale
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _owners(segments: Sequence[Segment]) -> NDArray[np.int32]:
    """Which number is on top, [H, W]; 0 is none. Of equals, the first."""
    owners = np.zeros(segments[0].size, np.int32)
    below = sorted(enumerate(segments, start=1), key=lambda pair: (-pair[1].area, -pair[0]))
    for number, segment in below:
        owners[segment.inside] = number
    return owners


def _borders(owners: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour belongs to somebody else, [H, W]."""
    borders = np.zeros(owners.shape, bool)
    borders[:, :-1] |= owners[:, :-1] != owners[:, 1:]
    borders[:-1] |= owners[:-1] != owners[1:]
    return borders


def _write(pen: ImageDraw.ImageDraw, text: str, x: int, y: int, radius: float) -> None:
    """White on black outlines: readable on any colour; kept inside the picture."""
    font = ImageFont.load_default(size=float(np.clip(1.2 * radius, 11, 34)))
    left, top, right, bottom = pen.textbbox((x, y), text, font=font, anchor="mm", stroke_width=2)
    width, height = pen.im.size
    x += max(0, -int(left)) - max(0, int(right) + 1 - width)
    y += max(0, -int(top)) - max(0, int(bottom) + 1 - height)
    pen.text(
        (x, y), text, font=font, anchor="mm", fill="white", stroke_width=2, stroke_fill="black"
    )


def _alone(picture: Image.Image, low: Segment, edge: tuple[int, int, int]) -> Image.Image:
    """One cell: the segment's own pixels, the rest faded, its outline in its colour."""
    inside = shrunk(low, (picture.height, picture.width)).inside
    pixels = np.asarray(picture, np.float32)
    faded = 100 + 0.25 * pixels.mean(-1, keepdims=True)  # neither dark nor light segments drown
    cell = np.where(inside[..., None], pixels, faded)
    wider = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    cell[wider & ~inside] = edge
    return Image.fromarray(cell.astype(np.uint8))


def _label(number: int, segment: Segment) -> str:
    words = [f"{number}:", spoken_share(segment.share), segment.label or ""]
    return " ".join(word for word in words if word)


def spoken_share(share: float) -> str:
    """A share of the picture as people read it, never `0.0%` for what is there."""
    if share >= 0.001:
        return f"{share:.1%}"
    return f"{share:.3%}" if share >= 0.00001 else "<0.001%"


def _remarks(count: int, hidden: Sequence[int]) -> list[str]:
    remarks = []
    if hidden:
        numbers = ", ".join(map(str, hidden[:20])) + (", …" if len(hidden) > 20 else "")
        remarks.append(f"wholly under others: {numbers}")
    if count > MOST_CELLS:
        remarks.append(f"by themselves: {MOST_CELLS} of {count}")
    return remarks


def _stacked(
    head: Image.Image, remarks: Sequence[str], grids: Sequence[Image.Image]
) -> Image.Image:
    top = GAP + head.height + GAP + _LINE * len(remarks)
    height = top + sum(grid.height for grid in grids)
    sheet = Image.new("RGB", (WIDTH + 2 * GAP, height), PAPER)
    sheet.paste(head, (GAP + (WIDTH - head.width) // 2, GAP))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for line, text in enumerate(remarks):
        pen.text((GAP, GAP + head.height + GAP // 2 + _LINE * line), text, fill=INK, font=font)
    for grid in grids:
        sheet.paste(grid, (0, top))
        top += grid.height
    return sheet
