"""A run as one HTML file: tables, plots and pictures, with nothing to fetch and nothing to run."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import locstyle as ls

from .plots import axis_figure, plot_bars, plot_scatter, plot_styles
from .results import GATE, METRIC, CaseFacts, Figure, Results
from .sheet import picture_path
from .store import MAKER
from .summary import HEADINGS, Summary, heading, with_interval, written

NEEDED = ("jinja2", "matplotlib")
LARGEST = 384  # pixels a side in the report; the pictures themselves stay as they are in the folder
QUALITY = 90
STYLE = ("texture", "colour", "psnr", "beyond", "closed")  # how the keys of style figures begin
BENEATH = ("closed", "texture", "colour", "edges", "seam")  # what stands below each picture


@dataclass(frozen=True)
class Shown:
    """A picture of a contact sheet: its label, its bytes as a URI, and what stands below it."""

    label: str
    alt: str
    uri: str
    size: tuple[int, int]  # width, height
    lines: tuple[tuple[str, str], ...] = ()


def check_extra() -> None:
    """Nothing, if reports can be written here.

    Raises:
        LocstyleError: packages of the extra `bench` are missing; names them.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ls.LocstyleError(f"report: {' and '.join(missing)} missing; {ls.pip_line('bench')}")


def write_report(results: Results, out: Path) -> Path:
    """Write OUT/report.html from the results and the pictures in OUT/pictures.

    Raises:
        LocstyleError: an extra package is missing.
        OutputError: the file cannot be written.
    """
    check_extra()
    return ls.Ledger(out, MAKER).write("report.html", render(results, out).encode())


def render(results: Results, out: Path) -> str:
    """The page; equal results and pictures give an equal page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    places = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary = Summary(results)
    places.tests["measured"] = summary.has
    plots = [plot_bars(summary), plot_scatter(summary), plot_styles(summary)]
    return places.get_template("report.html.j2").render(
        results=results,
        summary=summary,
        headings=HEADINGS,
        heading=heading,
        with_interval=with_interval,
        written=written,
        # Markup: matplotlib escapes the names that it writes into its SVG
        plots=[Markup(svg) for svg in plots],
        groups=_groups(summary),
        style_figure=_style_figure(summary),
        losses=list(summary.losses()),
        bests=[(figure, _bests(summary, figure)) for figure in summary.figures],
        sheets=[(case, list(_shown(summary, case, out))) for case in results.cases],
        learned=[f for f in summary.figures if f.key.startswith(METRIC)],
    )


def _groups(summary: Summary) -> list[tuple[str, list[Figure]]]:
    """The figures in tables that fit a page."""
    region = summary.of("region")
    style = [figure for figure in region if figure.key.startswith(STYLE)]
    return [
        ("Inside the regions: style", style),
        ("Inside the regions: structure, borders, leaks", [f for f in region if f not in style]),
        ("Outside, and what it costs", summary.of("edit")),
    ]


def _style_figure(summary: Summary) -> Figure | None:
    return axis_figure(summary, "closed") or axis_figure(summary, "texture")


def _bests(summary: Summary, figure: Figure) -> list[tuple[str, str] | None]:
    """The best edit, baseline and ceiling with what they reach."""
    found: list[tuple[str, str] | None] = []
    for kind in ("edit", "baseline", "ceiling"):
        name = summary.best(figure, kinds=(kind,))
        known = summary.mean(figure.key, name) if name else None
        found.append((name, with_interval(figure, known)) if name else None)
    return found


def _shown(summary: Summary, case: CaseFacts, out: Path) -> Iterator[Shown]:
    """The case's pictures in reading order, as far as they are there."""
    alike = [("photo", "photo"), ("regions", "regions")]
    alike += [(f"style-{i}", f"style {r.style}") for i, r in enumerate(case.regions)]
    alike += [("truth", "truth"), (GATE, "inverted and back, unstyled")]
    for name, label in alike:
        yield from _picture(case, out, name, label)
    for method in summary.methods():
        lines = tuple(_lines(summary, method, case))
        yield from _picture(case, out, method, method, lines=lines)


def _lines(summary: Summary, method: str, case: CaseFacts) -> Iterator[tuple[str, str]]:
    for key in BENEATH:
        figure = axis_figure(summary, key)
        value = summary.of_case(figure.key, method, case.name) if figure else None
        if figure and value is not None:
            yield key, written(figure, value)


def _picture(
    case: CaseFacts,
    out: Path,
    name: str,
    label: str,
    *,
    lines: tuple[tuple[str, str], ...] = (),
    is_method: bool = False,
) -> Iterator[Shown]:
    path = picture_path(out, case.name, name)
    if path.exists():
        uri, size = _embedded(path)
        yield Shown(label, f"{label}: {case.caption}", uri, size, lines)


def _embedded(path: Path) -> tuple[str, tuple[int, int]]:
    """The picture as a data URI, PNG or JPEG, whichever is smaller, and its width and height."""
    from PIL import Image

    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    png, jpeg = io.BytesIO(), io.BytesIO()
    picture.save(png, "PNG", optimize=True)
    picture.save(jpeg, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    kind, data = min(("png", png), ("jpeg", jpeg), key=lambda one: len(one[1].getvalue()))
    text = base64.b64encode(data.getvalue()).decode()
    return f"data:image/{kind};base64,{text}", picture.size
