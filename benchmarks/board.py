"""What the scoreboards share: figures, running an edit with its cost, tables, JSON, sheet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cost import measured
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from locstyle.sheet import contact_sheet

if TYPE_CHECKING:
    import locstyle as ls
    from locstyle.result import Result

Picture = NDArray[np.uint8]  # [H, W, 3]
Area = NDArray[np.bool_]  # [H, W]

FORMATS = {  # how many digits, by figure; all others as they are
    "psnr": ".2f",
    "seam": ".2f",
    "seconds": ".1f",
    "memory": ".0f",
    "rows": ".0f",
    "inversion rows": ".0f",
    "autoencoder psnr": ".2f",
    "reconstruction psnr": ".2f",
    "outside identical": ".6%",
}


@dataclass(frozen=True)
class Row:
    """What one candidate got in one region of a scene, or for the edit as a whole."""

    scene: str
    candidate: str
    region: str
    figures: dict[str, float]


@dataclass
class Board:
    """All rows and pictures of a run."""

    out: Path
    settings: dict[str, str]
    regions: list[Row] = field(default_factory=list)
    edits: list[Row] = field(default_factory=list)
    pictures: list[tuple[str, Picture]] = field(default_factory=list)

    def show(self, label: str, picture: Picture, *, save: bool = False) -> None:
        """A cell of the contact sheet, and a file if asked."""
        self.pictures.append((label, picture))
        if save:
            name = "".join(c if c.isalnum() else "-" for c in label)
            Image.fromarray(picture).save(self.out / f"{name}.png")

    def run(self, editor: ls.Editor, edit: ls.Edit, scene: str) -> Result:
        """Run an edit and note what it cost and kept. Its clock does not count the check."""
        editor.run(replace(edit, steps=1))  # warms up
        with measured(editor.backbone.device) as cost:
            result = editor.run(edit, check_inversion=True)
        report = result.report
        figures = {
            "rows": report.rows,
            "inversion rows": report.inversion_rows,
            "seconds": sum(report.seconds.values()),
            "memory": cost.memory,
            "autoencoder psnr": report.autoencoder_psnr,
            "reconstruction psnr": report.reconstruction_psnr,
            "outside identical": report.outside_identical,
            "inside change": report.inside_change,
        }
        known = {name: math.nan if value is None else value for name, value in figures.items()}
        self.edits.append(Row(scene, edit.fusion.name, "", known))
        return result

    def average(self) -> None:
        """Add the mean of every candidate over all scenes and regions."""
        for rows in (self.regions, self.edits):
            rows.extend(list(_means(rows)))

    def finish(self, columns: int) -> None:
        """Print the tables, write OUT/scoreboard.json and OUT/sheet.png."""
        console = Console(width=140)
        rows = {"regions": self.regions, "edits": self.edits}
        for title, some in rows.items():
            if some:
                console.print(_table(title, some))
        plain = {name: [asdict(row) for row in some] for name, some in rows.items()}
        text = json.dumps(_without_nan({"settings": self.settings, **plain}), indent=1)
        (self.out / "scoreboard.json").write_text(text)
        shown = [(label, Image.fromarray(picture)) for label, picture in self.pictures]
        contact_sheet(shown, columns).save(self.out / "sheet.png")
        console.print(f"pictures: {self.out / 'sheet.png'}")


def pasted(photo: Picture, masks: Iterable[Area], pictures: Iterable[Picture]) -> Picture:
    """The photo with each picture where its mask is."""
    result = photo.copy()
    for mask, picture in zip(masks, pictures, strict=True):
        result[mask] = picture[mask]
    return result


def to_bytes(picture: NDArray[np.float32]) -> Picture:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _means(rows: Sequence[Row]) -> Iterator[Row]:
    """One row per candidate over all scenes and regions; figures that are nan do not count."""
    for candidate in dict.fromkeys(row.candidate for row in rows):
        same = [row.figures for row in rows if row.candidate == candidate]
        yield Row("mean", candidate, "", {key: _mean(same, key) for key in same[0]})


def _mean(figures: Sequence[dict[str, float]], key: str) -> float:
    known = [row[key] for row in figures if not math.isnan(row[key])]
    return math.fsum(known) / len(known) if known else math.nan


def _table(title: str, rows: Sequence[Row]) -> Table:
    names = list(rows[0].figures)
    table = Table("scene", "candidate", title, *names)
    for before, row in zip([rows[0], *rows], rows, strict=False):
        if row.scene != before.scene:
            table.add_section()
        cells = (_cell(name, row.figures[name]) for name in names)
        table.add_row(row.scene, row.candidate, row.region, *cells)
    return table


def _cell(name: str, value: float) -> str:
    return "-" if math.isnan(value) else format(value, FORMATS.get(name, ".3f"))


def _without_nan(value: object) -> object:
    """JSON has no nan and no infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
