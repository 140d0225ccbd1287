"""Frames drawn over the photo: what is denoised together, how finely, and in how many tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from locstyle.sheet import drawable

if TYPE_CHECKING:
    from locstyle.job.frames import Frame
    from locstyle.photo.boxes import Box

LONGEST = 1600
"""Pixels of the drawing's longer side, at most."""

_COLOURS = ((230, 80, 60), (60, 140, 230), (240, 190, 50), (90, 190, 90), (160, 90, 200))


def frame_sheet(picture: Image.Image, frames: Sequence[Frame]) -> Image.Image:
    """The photo with a box and a line of text for each frame, and thin lines around its tiles."""
    drawn = picture.convert("RGB")
    drawn.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    scale = drawn.width / picture.width
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(size=14)
    for number, frame in enumerate(frames):
        colour = _COLOURS[number % len(_COLOURS)]
        for tile in frame.tile_boxes() if not frame.tiles.is_one else ():
            draw.rectangle(_scaled(tile, scale), outline=colour, width=1)
        box = _scaled(frame.canvas.box, scale)
        draw.rectangle(box, outline=colour, width=3)
        told = f"{number + 1}: {frame.describe()}"
        _write(draw, (box[0] + 5, box[1] + 5), drawable(told), font, colour)
    return drawn


def _scaled(box: Box, scale: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (value * scale for value in box)
    return x0, y0, max(x0 + 1, x1 - 1), max(y0 + 1, y1 - 1)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: tuple[int, int, int],
) -> None:
    """Text on a ground of its own, so that it reads on any photo."""
    draw.rectangle(draw.textbbox(place, text, font=font), fill=(255, 255, 255))
    draw.text(place, text, fill=colour, font=font)
