"""Contact sheets: pictures side by side, each with its label."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from locstyle.edit import Region
    from locstyle.result import Result
    from locstyle.style import Style

GAP = 8
LINE = 20
_DRAWN = frozenset("©«°±·»‘’“”‹›⁄")  # signs beyond ASCII that are in the font
_ALIKE = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "−": "-", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE"}
    | {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "→": "->"}
)
INK, PAPER, BLANK = (32, 32, 32), (255, 255, 255), (224, 224, 224)


def contact_sheet(
    pictures: Sequence[tuple[str, Image.Image]], columns: int | None = None, *, cell: int = 256
) -> Image.Image:
    """The pictures in rows of `columns` (None: one row), each fitted into `cell` × `cell` pixels;
    a row is as high as its highest.

    Small pictures are enlarged by whole factors without smoothing, so that pixels stay visible.
    """
    across = min(columns or len(pictures), len(pictures))
    fitted = [(label, _fitted(picture, cell)) for label, picture in pictures]
    rows = [fitted[start : start + across] for start in range(0, len(fitted), across)]
    heights = [max(small.height for _, small in row) for row in rows]
    size = across * (cell + GAP) + GAP, sum(high + LINE + GAP for high in heights) + GAP
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    top = GAP
    for row, high in zip(rows, heights, strict=True):
        for column, (label, small) in enumerate(row):
            left = GAP + column * (cell + GAP)
            draw.text((left, top), _fitted_text(drawable(label), cell, font), fill=INK, font=font)
            spare = (cell - small.width) // 2, (high - small.height) // 2
            sheet.paste(small, (left + spare[0], top + LINE + spare[1]))
        top += high + LINE + GAP
    return sheet


def drawable(label: str) -> str:
    """A label in what Pillow's own font has signs for: accents go, and letters of other scripts
    become their numbers, `\\u65e5`, where the font would draw the same empty box for each."""
    plain = unicodedata.normalize("NFKD", label.translate(_ALIKE))
    kept = (one for one in plain if not unicodedata.combining(one))
    return "".join(one if " " <= one <= "~" or one in _DRAWN else _number(one) for one in kept)


def _number(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode() if letter.isprintable() else " "


def result_sheet(result: Result, *, cell: int = 256) -> Image.Image:
    """Input over result, and a column a region: what its mask shows, over its styles."""
    photo = _opaque(result.source.srgb)
    columns = [[("input", photo), ("result", result.photo.srgb)]]
    for number, (region, mask, styles) in enumerate(
        zip(result.edit.regions, result.masks, result.styles, strict=True), start=1
    ):
        ground = Image.new("RGB", photo.size, BLANK)
        shown = Image.composite(photo, ground, mask.image)
        columns.append([(f"{number}: {mask.area:.1%}", shown), *_styles(number, region, styles)])
    nothing = "", Image.new("RGB", (1, 1), PAPER)
    cells = [one for row in zip_longest(*columns, fillvalue=nothing) for one in row]
    return contact_sheet(cells, len(columns), cell=cell)


def _styles(
    number: int, region: Region, styles: Sequence[Style]
) -> Iterator[tuple[str, Image.Image]]:
    for styling, style in zip(region.stylings, styles, strict=True):
        strength = f" @{styling.strength:g}" if styling.strength != 1 else ""
        label = f"{number}: {style.name}{strength}, {' and '.join(sorted(style.kinds))}"
        yield label, style.preview or Image.new("RGB", (1, 1), BLANK)


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
