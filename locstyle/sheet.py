"""Contact sheets: pictures side by side, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from locstyle.result import Result

GAP = 8
LINE = 20
INK, PAPER, BLANK = (32, 32, 32), (255, 255, 255), (224, 224, 224)


def contact_sheet(
    pictures: Sequence[tuple[str, Image.Image]], columns: int | None = None, *, cell: int = 256
) -> Image.Image:
    """The pictures in rows of `columns` (None: one row), each fitted into `cell` × `cell` pixels.

    Small pictures are enlarged by whole factors without smoothing, so that pixels stay visible.
    """
    across = min(columns or len(pictures), len(pictures))
    rows = -(-len(pictures) // across)
    width, height = cell + GAP, cell + LINE + GAP
    sheet = Image.new("RGB", (across * width + GAP, rows * height + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for index, (label, picture) in enumerate(pictures):
        left, top = GAP + index % across * width, GAP + index // across * height
        draw.text((left, top), _fitted_text(label, cell, font), fill=INK, font=font)
        small = _fitted(picture, cell)
        spare = (cell - small.width) // 2, (cell - small.height) // 2
        sheet.paste(small, (left + spare[0], top + LINE + spare[1]))
    return sheet


def result_sheet(result: Result, *, cell: int = 256) -> Image.Image:
    """Input, each region's mask and style, and the result."""
    from locstyle.edit import Region

    pictures = [("input", result.source.image)]
    regions: Sequence[Region] = result.edit.regions
    for number, (region, mask, styles) in enumerate(
        zip(regions, result.masks, result.styles, strict=True), start=1
    ):
        pictures.append((f"{number}: mask, {mask.area:.1%}", mask.image))
        for styling, style in zip(region.stylings, styles, strict=True):
            strength = f" @{styling.strength:g}" if styling.strength != 1 else ""
            preview = style.preview or Image.new("RGB", (1, 1), BLANK)
            pictures.append((f"{number}: {style.name}{strength}", preview))
    pictures.append(("result", result.image))
    return contact_sheet(pictures, cell=cell)


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    picture = _opaque(picture)
    longer = max(picture.size)
    if longer <= cell:
        factor = cell // longer
        larger = picture.width * factor, picture.height * factor
        return picture.resize(larger, Image.Resampling.NEAREST)
    picture = picture.copy()
    picture.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return picture


def _opaque(picture: Image.Image) -> Image.Image:
    """On white, where the picture is transparent."""
    if picture.mode not in ("RGBA", "LA", "PA"):
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, PAPER)
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def _fitted_text(label: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The label, its end cut where it does not fit."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
