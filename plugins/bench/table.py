"""A run as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .results import Figure, Results
from .summary import HEADINGS, NONE, Summary, heading, with_interval, written

if TYPE_CHECKING:
    from rich.table import Table

Cells: TypeAlias = dict[str, str]  # method → what stands in its row
Column: TypeAlias = tuple[str, Cells]  # with its head
STYLED = ("closed", "texture_truth", "texture_style")  # what is shown style by style
_MORE = ", continued"
_PADDING = 3  # characters that a column takes beside its own


def tables(results: Results, *, width: int | None = None) -> list[Table]:
    """Regions, edits, the gate, and each style on its own; split where `width` does not suffice.

    `width` in characters defaults to the terminal's.
    Numbers are means with 95 % intervals over scenes; the best edit of a column is bold.
    """
    from rich.console import Console

    width = width or Console().width
    summary = Summary(results)
    made = [
        *_by_method(summary, "Inside the regions", summary.of("region"), width),
        *_by_method(summary, "Outside, and what it costs", summary.of("edit"), width),
        *_gate(summary),
    ]
    for figure in _styled(summary):
        made += _by_style(summary, figure, width)
    return made


def _styled(summary: Summary) -> list[Figure]:
    """Texture against the style picture says by style what texture against truth says better."""
    found = [figure for figure in summary.figures if figure.key in STYLED]
    has_truth = any(figure.key == "texture_truth" for figure in found)
    return [f for f in found if not (has_truth and f.key == "texture_style")]


def _by_method(
    summary: Summary, title: str, figures: Sequence[Figure], width: int
) -> Iterator[Table]:
    columns = [(_head(figure), _cells(summary, figure)) for figure in figures]
    yield from _split(summary, title, columns, width)


def _head(figure: Figure) -> str:
    """The arrow and the unit on a line of their own, so that no wrapping tears them apart."""
    return heading(figure, between="\n")


def _cells(summary: Summary, figure: Figure, style: str | None = None) -> Cells:
    """What stands beside each method that was measured; the best edit is bold."""
    found = {m: summary.mean(figure.key, m, style) for m in summary.methods()}
    texts = {m: with_interval(figure, known) for m, known in found.items() if known}
    return {
        m: f"[bold]{text}[/]" if summary.is_best(figure, m, style) else text
        for m, text in texts.items()
    }


def _by_style(summary: Summary, figure: Figure, width: int) -> Iterator[Table]:
    columns = [(style, _cells(summary, figure, style)) for style in summary.styles]
    yield from _split(summary, f"By style: {heading(figure)}", columns, width)


def _split(summary: Summary, title: str, columns: Sequence[Column], width: int) -> Iterator[Table]:
    """As many tables as it takes for each to fit the width, without methods that have nothing."""
    methods = [m for m in summary.methods() if any(m in cells for _, cells in columns)]
    free = width - max((len(m) for m in methods), default=0) - _PADDING - 1
    batch: list[Column] = []
    used = 0
    for column in columns:
        wide = _width(column)
        if batch and used + wide > free:
            yield _table(summary, title, methods, batch)
            batch, used, title = [], 0, f"{title.removesuffix(_MORE)}{_MORE}"
        batch.append(column)
        used += wide
    if batch:
        yield _table(summary, title, methods, batch)


def _width(column: Column) -> int:
    from rich.text import Text

    head, cells = column
    words = [len(word) for line in head.splitlines() for word in _words(line)]
    return max((*words, *(len(Text.from_markup(t)) for t in cells.values()))) + _PADDING


def _words(line: str) -> list[str]:
    return [line] if "↑" in line or "↓" in line else line.split()


def _table(
    summary: Summary, title: str, methods: Sequence[str], columns: Sequence[Column]
) -> Table:
    table = _empty(title)
    table.add_column("method", no_wrap=True, vertical="bottom")
    for column in columns:
        least = _width(column) - _PADDING
        table.add_column(column[0], justify="right", min_width=least)
    for kind, name in HEADINGS.items():
        shown = [method for method in summary.methods(kind) if method in methods]
        if shown:
            table.add_row(f"[dim]{name}[/]")
        for method in shown:
            table.add_row(_escaped(method), *(cells.get(method, NONE) for _, cells in columns))
        table.add_section()
    return table


def _gate(summary: Summary) -> Iterator[Table]:
    figures = summary.of("case")
    if not figures:
        return
    table = _empty("Before any edit: the photo inverted and back")
    for name in ("", "mean", "worst", "worst case"):
        table.add_column(name, justify="right" if name in ("mean", "worst") else "left")
    for figure in figures:
        if found := summary.gate(figure):
            mean, case, worst = found
            shown = with_interval(figure, mean), written(figure, worst), _escaped(case)
            table.add_row(heading(figure), *shown)
    yield table


def _empty(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
