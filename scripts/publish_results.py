"""Puts a benchmark run into docs/: the results file, the tables as a page, the contact sheet.

    locstyle bench quality -o OUT && python scripts/publish_results.py OUT [--as NAME] [--busy]

`make results` does both, twice. Nothing on the pages is written by hand. They are called
benchmark-results, or NAME. With --busy a page leaves out times: the machine had other work to do.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from locstyle_plugins.bench.results import Figure, Results
from locstyle_plugins.bench.summary import HEADINGS, NONE, Summary, heading, with_interval, written
from PIL import Image
from scipy.stats import spearmanr

DOCS = Path(__file__).parent.parent / "docs"
BY_STYLE = ("beyond_recolour", "closed", "texture_truth", "edges")
HEAD = """# {title}: this project's own run

Made by `make results`: {cases} scenes, {regions} regions. [What everything means](benchmark.md),
[all numbers]({name}.json). Means ± half a 95 % interval over scenes; the best edit is
bold. {times}

![Every case and method](pictures/{picture})

    {settings}
"""


TIMES = {
    False: "Times are those of one machine.",
    True: "Other work went on while it ran, so seconds are left out here.",
}


EYES = ("texture_truth", "metric:eye")
AGREE = """## Two eyes

Our own texture distance and the learned one, both to the truth, and how each ranks the methods,
edits and baselines. Where one is ahead of another by both, the claim stands; where they part, none
does. Over all {count} regions of all methods they go together by {spearman:.2f} (Spearman)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--as", dest="name", default="benchmark-results")
    parser.add_argument("--busy", action="store_true")
    wanted = parser.parse_args()
    publish(wanted.out, wanted.name, busy=wanted.busy)


def publish(out: Path, name: str, *, busy: bool) -> None:
    """The run in `out` as a page, its numbers and its sheet, called `name`."""
    data = json.loads((out / "results.json").read_text("utf-8"))
    summary = Summary(Results.from_dict(data))
    picture = f"{name.removesuffix('-results')}.jpg"
    page = "\n".join(lines(summary, name, picture, busy=busy))
    text = json.dumps(data, indent=None, separators=(",", ":"), allow_nan=False)
    (DOCS / f"{name}.json").write_text(text + "\n", "utf-8")
    (DOCS / f"{name}.md").write_text(page + "\n", "utf-8")
    with Image.open(out / "sheet.png") as sheet:
        sheet.convert("RGB").save(DOCS / "pictures" / picture, quality=88, optimize=True)


def lines(summary: Summary, name: str, picture: str, *, busy: bool) -> Iterator[str]:
    """The page."""
    results = summary.results
    yield HEAD.format(
        title=results.title,
        name=name,
        picture=picture,
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
    if all(key in {figure.key for figure in summary.figures} for key in EYES):
        yield from agreement(summary)
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


def agreement(summary: Summary) -> Iterator[str]:
    """How the hand-made and the learned measure rank the methods."""
    names = [one for kind in ("baseline", "edit") for one in summary.methods(kind)]
    means = {one: [summary.mean(key, one) for key in EYES] for one in names}
    known = {one: [m.mean for m in both if m] for one, both in means.items() if all(both)}
    ranks = [sorted(known, key=lambda one: known[one][eye]) for eye in (0, 1)]
    pairs = list(both_eyes(summary.results))
    yield AGREE.format(count=len(pairs), spearman=spearmanr(*zip(*pairs, strict=True)).statistic)
    yield ""
    yield from header(["method", "texture", "rank", "learned", "rank"])
    for name in ranks[0]:
        ours, learned = known[name]
        places = [order.index(name) + 1 for order in ranks]
        yield row([name, f"{ours:.3f}", str(places[0]), f"{learned:.3f}", str(places[1])])
    yield ""


def both_eyes(results: Results) -> Iterator[tuple[float, float]]:
    """Both distances of every region that has both."""
    for score in results.scores:
        if all(key in score.figures for key in EYES):
            yield score.figures[EYES[0]], score.figures[EYES[1]]


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
    main()
