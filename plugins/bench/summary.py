"""What a run says when its scores are put together: means, the best, the losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .results import GATE, Figure, Kind, Results, Score
from .statistics import Interval, interval

HEADINGS: dict[Kind, str] = {"baseline": "baselines", "edit": "edits", "ceiling": "ceilings"}

NBSP = "\N{NO-BREAK SPACE}"
NONE = "–"  # what was never measured


@dataclass(frozen=True)
class Loss:
    """A figure at which the best edit is worse than a baseline, scene by scene.

    `by` is the mean difference of the two, edit minus baseline; it is clear where the interval
    of several scenes leaves 0 out.
    """

    figure: Figure
    edit: str
    baseline: str
    by: Interval

    @property
    def is_clear(self) -> bool:
        return self.by.count > 1 and (self.by.low > 0 or self.by.high < 0)


class Summary:
    """The scores of a run by figure and method; nothing is computed twice."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.cases = {case.name: case for case in results.cases}
        self._rows: dict[tuple[str, str], list[tuple[Score, float]]] = {}
        for score in results.scores:
            for key, value in score.figures.items():
                self._rows.setdefault((key, score.method), []).append((score, value))
        self._means: dict[tuple[str, str, str | None], Interval | None] = {}

    @property
    def figures(self) -> list[Figure]:
        """The figures that some method has, in the order tables show them."""
        known = {key for key, _ in self._rows}
        return [figure for figure in self.results.figures if figure.key in known]

    @property
    def styles(self) -> list[str]:
        """The styles met, in the order of the cases."""
        met = (region.style for case in self.results.cases for region in case.regions)
        return list(dict.fromkeys(met))

    def methods(self, kind: Kind | None = None) -> list[str]:
        """The methods in order, baselines first, ceilings last."""
        kinds = list(HEADINGS) if kind is None else [kind]
        given = self.results.methods.items()
        return [name for wanted in kinds for name, has in given if has == wanted]

    def of(self, kind: str) -> list[Figure]:
        """The figures of "region", "edit" or "case" that some method has."""
        return [figure for figure in self.figures if figure.of == kind]

    def has(self, method: str, figures: Sequence[Figure]) -> bool:
        """Whether the method was measured by any of the figures."""
        return any((figure.key, method) in self._rows for figure in figures)

    def mean(self, key: str, method: str, style: str | None = None) -> Interval | None:
        """The figure's mean over all cases and regions, or those of one style; None: no scores."""
        if (key, method, style) not in self._means:
            rows = self._rows.get((key, method), [])
            kept = [row for row in rows if style is None or self._style(row[0]) == style]
            self._means[key, method, style] = self._interval(kept)
        return self._means[key, method, style]

    def of_case(self, key: str, method: str, case: str) -> float | None:
        """The figure's mean over the regions of one case."""
        values = [v for score, v in self._rows.get((key, method), []) if score.case == case]
        return sum(values) / len(values) if values else None

    def of_region(self, key: str, method: str, case: str, region: int) -> float | None:
        """The figure in one region of a case."""
        for score, value in self._rows.get((key, method), []):
            if (score.case, score.region) == (case, region):
                return value
        return None

    def best(
        self, figure: Figure, *, kinds: tuple[Kind, ...] = ("edit",), style: str | None = None
    ) -> str | None:
        """The method with the best mean; None where no way is good or nobody was measured."""
        methods = [name for kind in kinds for name in self.methods(kind)]
        means = {name: self.mean(figure.key, name, style) for name in methods}
        known = {name: found.mean for name, found in means.items() if found}
        if figure.better == "neutral" or not known:
            return None
        choose = max if figure.better == "higher" else min
        return choose(known, key=lambda name: known[name])

    def is_best(self, figure: Figure, method: str, style: str | None = None) -> bool:
        """Whether an edit's mean reads like the best edit's; several may share the honour."""
        best = self.best(figure, style=style)
        if best is None or self.results.methods[method] != "edit":
            return False
        means = (self.mean(figure.key, name, style) for name in (best, method))
        one, other = (written(figure, found.mean if found else None) for found in means)
        return one == other

    def losses(self) -> Iterator[Loss]:
        """Every figure and baseline that beats each of the edits, with the edit that comes next."""
        for figure in (*self.of("region"), *self.of("edit")):
            edit = self.best(figure)
            for baseline in self.methods("baseline") if edit else ():
                pairs = [
                    (e, self.difference(figure.key, e, baseline)) for e in self.methods("edit")
                ]
                by = {name: found for name, found in pairs if found}
                if by and all(_is_worse(figure, found.mean) for found in by.values()):
                    nearest = edit if edit in by else min(by, key=lambda e: abs(by[e].mean))
                    yield Loss(figure, nearest or "", baseline, by[nearest or ""])

    def difference(self, key: str, one: str, other: str) -> Interval | None:
        """Mean of one method's score minus the other's, on the regions that both have."""
        rivals = {(s.case, s.region): value for s, value in self._rows.get((key, other), [])}
        return self._interval(
            [
                (score, value - rivals[score.case, score.region])
                for score, value in self._rows.get((key, one), [])
                if (score.case, score.region) in rivals
            ]
        )

    def gate(self, figure: Figure) -> tuple[Interval, str, float] | None:
        """Mean of a case's figure, and the worst case with its value."""
        rows = self._rows.get((figure.key, GATE), [])
        found = self._interval(rows)
        if found is None:
            return None
        choose = min if figure.better == "higher" else max
        score, value = choose(rows, key=lambda row: row[1])
        return found, score.case, value

    def _style(self, score: Score) -> str | None:
        """The style of the region that was scored; None for a whole edit."""
        return None if score.region is None else self.cases[score.case].regions[score.region].style

    def _interval(self, rows: list[tuple[Score, float]]) -> Interval | None:
        if not rows:
            return None
        groups = [self._group(score.case) for score, _ in rows]
        return interval([value for _, value in rows], groups)

    def _group(self, name: str) -> str:
        return self.cases[name].group or name


def _is_worse(figure: Figure, difference: float) -> bool:
    return difference < 0 if figure.better == "higher" else difference > 0


def written(figure: Figure, value: float | None) -> str:
    """A value with the figure's digits; shares in percent, without their unit."""
    if value is None:
        return NONE
    if figure.unit == "%":
        return f"{100 * value:.{max(figure.digits - 2, 0)}f}"
    text = f"{value:.{figure.digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def with_interval(figure: Figure, found: Interval | None) -> str:
    """Mean ± half the interval; the mean alone where it rests on one scene."""
    if found is None:
        return NONE
    mean = written(figure, found.mean)
    return f"{mean} ±{written(figure, found.half)}" if found.count > 1 else mean


def heading(figure: Figure, *, between: str = NBSP) -> str:
    """Label, which way is good, and the unit where the label does not say it."""
    arrow = {"higher": "↑", "lower": "↓", "neutral": ""}[figure.better]
    unit = "" if figure.label.endswith(figure.unit) else figure.unit
    return f"{figure.label}{between}{f'{arrow}{NBSP}{unit}'.strip()}".strip()
