"""The pictures of a run on one sheet: a row a case, a column a method."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import locstyle as ls

from .cases import slug
from .results import CaseFacts, Results
from .store import MAKER
from .summary import Summary

if TYPE_CHECKING:
    from PIL import ImageFont
    from PIL.Image import Image

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

CELL, GAP, LINE = 160, 6, 20  # pixels
INK, SOFT, PAPER = (32, 32, 32), (110, 110, 110), (255, 255, 255)


def write_sheet(results: Results, out: Path, *, rows: int = 8) -> Path:
    """Write OUT/sheet.png from OUT/pictures: at most `rows` cases, evenly from all of them.

    Raises:
        OutputError: the file cannot be written.
    """
    chosen = spread(results.cases, rows)
    columns = _columns(results, out, chosen)
    drawn = _draw(chosen, columns, out)
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return ls.Ledger(out, MAKER).write("sheet.png", file.getvalue())


def picture_path(out: Path, case: str, name: str) -> Path:
    """Where a run keeps a picture of a case: a method's, "photo", "regions", "truth", "style-0"."""
    return out / "pictures" / slug(case) / f"{slug(name)}.png"


def spread(cases: Sequence[CaseFacts], count: int) -> list[CaseFacts]:
    """At most `count` of the cases, evenly from first to last."""
    if len(cases) <= count:
        return list(cases)
    if count == 1:
        return [cases[0]]
    return [cases[round(n * (len(cases) - 1) / (count - 1))] for n in range(count)]


def _columns(results: Results, out: Path, cases: Sequence[CaseFacts]) -> list[tuple[str, str]]:
    """Picture name and label of every column that any of the cases has a picture for."""
    most = max((len(case.regions) for case in cases), default=0)
    styles = [(f"style-{number}", f"style {number + 1}") for number in range(most)]
    given = [("photo", "photo"), ("regions", "regions"), *styles, ("truth", "truth")]
    methods = [(name, name) for name in Summary(results).methods() if name != "input"]
    return [
        (name, label)
        for name, label in [*given, *methods]
        if any(picture_path(out, case.name, name).exists() for case in cases)
    ]


def _draw(cases: Sequence[CaseFacts], columns: Sequence[tuple[str, str]], out: Path) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    font, small = ImageFont.load_default(size=14), ImageFont.load_default(size=12)
    height = CELL + LINE + GAP
    size = (len(columns) * (CELL + GAP) + GAP, LINE + len(cases) * height + GAP)
    drawn = Image.new("RGB", (max(size[0], CELL), size[1]), PAPER)
    pen = ImageDraw.Draw(drawn)
    for column, (name, label) in enumerate(columns):
        left = GAP + column * (CELL + GAP)
        pen.text((left, 2), _fitted_text(label, CELL, font), fill=INK, font=font)
        for row, case in enumerate(cases):
            path = picture_path(out, case.name, name)
            if path.exists():
                picture = _fitted(path)
                drawn.paste(picture, (left, LINE * 2 + row * height))
    for row, case in enumerate(cases):
        said = f"{case.name}: {case.caption}. {_regions(case)}"
        words = _fitted_text(said, drawn.width - 2 * GAP, small)
        pen.text((GAP, LINE + 3 + row * height), words, fill=SOFT, font=small)
    return drawn


def _regions(case: CaseFacts) -> str:
    named = (f"{n}: {region.name} in {region.style}" for n, region in enumerate(case.regions, 1))
    return ", ".join(named)


def _fitted(path: Path) -> Image:
    """The picture with its longer side at CELL pixels."""
    from PIL import Image

    with Image.open(path) as file:
        picture = file.convert("RGB")
    factor = CELL / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _fitted_text(text: str, width: int, font: Font) -> str:
    """The text, its end cut where it does not fit."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
