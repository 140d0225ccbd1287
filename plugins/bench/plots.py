"""The plots of a report, as SVG to stand inside an HTML page; matplotlib draws them.

Text takes the page's colour, so that light and dark both work, and nothing in a plot depends on the
day or the machine: equal results give equal bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .results import Figure
from .statistics import Interval
from .summary import Summary, heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

# Okabe and Ito's colours, told apart by everybody; edits take them in this order.
EDITS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY, PALE = "#8a8a8a", "#b9b9b9"  # baselines, ceilings
MARKERS = "osD^vP*X"
INK = "#010203"  # stands for the page's own text colour
BARS = ("closed", "texture", "colour", "seam", "leak_texture", "edges")
CUT = (-1.5, 2.0)  # where the axis of "closed" ends at the latest
_STYLE: dict[Any, Any] = {  # Any: rc_context lists every key it knows
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
} | dict.fromkeys(
    ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
)


def plot_bars(summary: Summary) -> str:
    """One panel a figure, one bar a method, with 95 % intervals; empty where nothing was scored."""
    figures = [found for key in BARS if (found := axis_figure(summary, key))]
    methods = [m for m in summary.methods() if summary.has(m, figures)]
    if not methods:
        return ""
    rows = -(-len(figures) // 3)
    with _drawing("bars", (10, rows * (0.7 + 0.21 * len(methods)))) as (drawing, svg):
        panels = drawing.subplots(rows, min(3, len(figures)), sharey=True, squeeze=False)
        for panel, figure in zip(panels.flat, figures, strict=False):
            _bars(panel, summary, figure, methods)
        for panel in panels.flat[len(figures) :]:
            panel.set_visible(False)
    return svg[0]


def plot_scatter(summary: Summary) -> str:
    """Style against structure: a faint point a case, a large one for each method's mean."""
    style = axis_figure(summary, "closed") or axis_figure(summary, "texture")
    structure = axis_figure(summary, "edges")
    if style is None or structure is None:
        return ""
    looks = {method: look(summary, method) for method in summary.methods()}
    with _drawing("scatter", (7.6, 4.4)) as (drawing, svg):
        axes = drawing.subplots()
        for method, (colour, marker) in looks.items():
            _points(axes, summary, (structure, style), method, colour=colour, marker=marker)
        axes.set_xlabel(heading(structure))
        axes.set_ylabel(heading(style))
        axes.grid(alpha=0.25, linewidth=0.6)
        if style.key == "closed":
            axes.set_ylim(*_cut(axes.get_ylim()))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return svg[0]


def plot_styles(summary: Summary) -> str:
    """A panel a style, one bar an edit or recolouring: most of the spread is the style's."""
    figure = axis_figure(summary, "closed") or axis_figure(summary, "texture")
    if figure is None:
        return ""
    wanted = [*summary.methods("baseline"), *summary.methods("edit")]
    methods = [m for m in wanted if m != "input" and summary.has(m, [figure])]
    styles = [s for s in summary.styles if any(summary.mean(figure.key, m, s) for m in methods)]
    if not styles:
        return ""
    rows = -(-len(styles) // 5)
    across = -(-len(styles) // rows)
    with _drawing("styles", (10, rows * (0.7 + 0.2 * len(methods)))) as (drawing, svg):
        panels = drawing.subplots(rows, across, sharey=True, sharex=True, squeeze=False)
        for panel, style in zip(panels.flat, styles, strict=False):
            _bars(panel, summary, figure, methods, style=style)
        for panel in panels.flat:
            panel.locator_params(axis="x", nbins=4)
            panel.tick_params(labelbottom=True)
        for panel in panels.flat[len(styles) :]:
            panel.set_visible(False)
    return svg[0]


def axis_figure(summary: Summary, key: str) -> Figure | None:
    """The figure of that key; "texture" and "colour" prefer the truth to the style picture."""
    known = {figure.key: figure for figure in summary.of("region")}
    return known.get(key) or known.get(f"{key}_truth") or known.get(f"{key}_style")


def look(summary: Summary, method: str) -> tuple[str, str]:
    """A method's colour and marker, the same in every plot."""
    kind = summary.results.methods[method]
    number = summary.methods(kind).index(method)
    colours = {"baseline": (GREY,), "edit": EDITS, "ceiling": (PALE,)}[kind]
    return colours[number % len(colours)], MARKERS[number % len(MARKERS)]


def _bars(
    panel: Axes,
    summary: Summary,
    figure: Figure,
    methods: Sequence[str],
    *,
    style: str | None = None,
) -> None:
    for row, method in enumerate(methods):
        found = summary.mean(figure.key, method, style)
        if found is not None:
            colour, _ = look(summary, method)
            hatch = "////" if summary.results.methods[method] == "ceiling" else None
            fill = "none" if hatch else colour
            panel.barh(row, found.mean, 0.72, color=fill, edgecolor=colour, hatch=hatch)
            panel.errorbar(found.mean, row, xerr=_arms(found), color=INK, linewidth=1, capsize=2)
    panel.set_yticks(range(len(methods)), methods)
    panel.set_ylim(len(methods) - 0.5, -0.5)
    panel.set_title(heading(figure) if style is None else style, loc="left")
    panel.tick_params(axis="y", length=0)
    panel.axvline(0, color=INK, linewidth=0.8)
    panel.grid(axis="x", alpha=0.25, linewidth=0.6)
    if figure.key in ("closed", "seam"):  # the ceiling, and no border at all
        panel.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    if figure.key == "closed":
        panel.set_xlim(*_cut(panel.get_xlim()))


def _cut(limits: tuple[float, float]) -> tuple[float, float]:
    """Room for what matters: a share of a small gap can be any number."""
    return max(limits[0], CUT[0]), min(limits[1], CUT[1])


def _arms(found: Interval) -> list[list[float]]:
    return [[found.mean - found.low], [found.high - found.mean]]


def _points(
    axes: Axes,
    summary: Summary,
    figures: tuple[Figure, Figure],
    method: str,
    *,
    colour: str,
    marker: str,
) -> None:
    cases = summary.results.cases
    points = [[summary.of_case(f.key, method, case.name) for f in figures] for case in cases]
    known = [(x, y) for x, y in points if x is not None and y is not None]
    if not known:
        return
    across, up = zip(*known, strict=True)
    axes.scatter(across, up, s=14, color=colour, marker=marker, alpha=0.4, linewidths=0)
    x, y = (summary.mean(f.key, method) for f in figures)
    if x and y:
        axes.errorbar(
            x.mean, y.mean, xerr=_arms(x), yerr=_arms(y), color=colour, linewidth=1, zorder=3
        )
        axes.scatter(
            x.mean, y.mean, s=90, color=colour, marker=marker, edgecolor=INK, zorder=4, label=method
        )


@contextmanager
def _drawing(name: str, size: tuple[float, float]) -> Iterator[tuple[Drawing, list[str]]]:
    """A drawing of so many inches; after the `with` the list holds its SVG."""
    import matplotlib

    # Not pyplot, which would keep the figure and may ask for a screen.
    from matplotlib.figure import Figure as Drawing

    svg: list[str] = []
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        drawing = Drawing(figsize=size, layout="constrained")
        yield drawing, svg
        file = io.StringIO()
        drawing.savefig(file, format="svg", metadata={"Date": None})
    svg.append(_inline(file.getvalue(), name))


def _inline(svg: str, name: str) -> str:
    """The SVG element alone, as wide as the page allows, with ids no other plot has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    # points to pixels and half as large again: text as large as the tables'
    svg = re.sub(r'<svg ([^>]*?)width="([\d.]+)pt"', _limited, svg, count=1)
    svg = re.sub(r' height="[\d.]+pt"', "", svg, count=1)
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace(
        "xlink:href", "href"
    )
    return svg.replace(INK, "currentColor")


def _limited(match: re.Match[str]) -> str:
    return f'<svg {match[1]}style="max-width: {1.6 * float(match[2]):.0f}px"'
