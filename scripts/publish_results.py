"""Puts a benchmark run into docs/: the results file, the tables as a page, the contact sheet.

    locstyle bench quality -o OUT && python scripts/publish_results.py OUT

`make results` does both. Nothing on the page is written by hand. With --busy after OUT the page
leaves out times: the machine had other work to do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from locstyle_plugins.bench.results import Figure, Results
from locstyle_plugins.bench.summary import HEADINGS, NONE, Summary, heading, with_interval, written
from PIL import Image

DOCS = Path(__file__).parent.parent / "docs"
BY_STYLE = ("beyond_recolour", "closed", "texture_truth", "edges")
HEAD = """# {title}: this project's own run

Made by `make results`: {cases} scenes, {regions} regions. [What everything means](benchmark.md),
[all numbers](benchmark-results.json). Means ± half a 95 % interval over scenes; the best edit is
bold. {times}

![Every case and method](pictures/benchmark.jpg)

    {settings}
"""


TIMES = {
    False: "Times are those of one machine.",
    True: "Other work went on while it ran, so seconds are left out here.",
}


def main(out: Path, *, busy: bool = False) -> None:
    data = json.loads((out / "results.json").read_text("utf-8"))
    summary = Summary(Results.from_dict(data))
    page = "\n".join(lines(summary, busy=busy))
    text = json.dumps(data, indent=None, separators=(",", ":"), allow_nan=False)
    (DOCS / "benchmark-results.json").write_text(text + "\n", "utf-8")
    (DOCS / "benchmark-results.md").write_text(page + "\n", "utf-8")
    with Image.open(out / "sheet.png") as sheet:
        sheet.convert("RGB").save(DOCS / "pictures" / "benchmark.jpg", quality=88, optimize=True)


def lines(summary: Summary, *, busy: bool) -> Iterator[str]:
    """The page."""
    results = summary.results
    yield HEAD.format(
        title=results.title,
        times=TIMES[busy],
        cases=len(results.cases),
        regions=sum(len(case.regions) for case in results.cases),
        settings="\n    ".join(
            f"{key}: {value}" for key, value in results.settings.items() if value
        ),
    )
    for title, kind in (("Inside the regions", "region"), ("Outside, and what it costs", "edit")):
        figures = [f for f in summary.of(kind) if not (busy and f.key == "seconds")]
        yield f"## {title}\n"
        yield from by_method(summary, figures, list(map(heading, figures)))
    yield "## The gate: what inversion loses before any edit\n"
    yield from gate(summary)
    for figure in summary.figures:
        if figure.key in BY_STYLE:
            yield f"## By style: {heading(figure)}\n\n{figure.says}\n"
            yield from by_style(summary, figure)
    yield "## Losses\n\nWhere every edit does worse than a baseline.\n"
    yield from losses(summary, busy=busy)


def by_method(
    summary: Summary, figures: Sequence[Figure], heads: Sequence[str], styles: Sequence[str] = ()
) -> Iterator[str]:
    """A table of methods by figures; with `styles`, of one figure by style."""
    columns = [(f, s) for f in figures for s in (styles or [None])]
    yield from header(["method", *heads])
    for method in summary.methods():
        if summary.has(method, figures):
            cells = []
            for figure, style in columns:
                text = with_interval(figure, summary.mean(figure.key, method, style))
                best = text != NONE and summary.is_best(figure, method, style)
                cells.append(f"**{text}**" if best else text)
            yield row([f"{method} ({HEADINGS[summary.results.methods[method]][:-1]})", *cells])
    yield ""


def by_style(summary: Summary, figure: Figure) -> Iterator[str]:
    yield from by_method(summary, [figure], summary.styles, summary.styles)


def gate(summary: Summary) -> Iterator[str]:
    yield from header(["", "mean", "worst", "in"])
    for figure in summary.of("case"):
        if found := summary.gate(figure):
            mean, case, worst = found
            yield row([heading(figure), with_interval(figure, mean), written(figure, worst), case])
    yield ""


def losses(summary: Summary, *, busy: bool) -> Iterator[str]:
    yield from header(["figure", "baseline", "next edit", "edit minus baseline", "clear?"])
    shown = [one for one in summary.losses() if not (busy and one.figure.key == "seconds")]
    for loss in shown:
        by = with_interval(loss.figure, loss.by)
        clear = "yes" if loss.is_clear else "no"
        yield row([heading(loss.figure), loss.baseline, loss.edit, by, clear])


def header(names: Sequence[str]) -> Iterator[str]:
    yield row(names)
    yield "|" + "---|" * len(names)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]), busy="--busy" in sys.argv[2:])
