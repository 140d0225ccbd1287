"""Runs every method on every case, goes on where an earlier run stopped, and adds it all up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any  # plain data, the host's metrics

import torch

import locstyle as ls

from .baselines import Bench, unchanged
from .cases import Case, world_cases
from .cost import measured
from .gate import gate
from .methods import Method, methods
from .photos import photo_cases
from .progress import Progress
from .results import GATE, Results, Score
from .scoring import Scorer, leaked, metric_figures
from .settings import Settings
from .store import Store, record_key
from .styles import Styles

TITLE = "Regional style transfer"
_THE_GATE = Method(GATE, "baseline", unchanged)  # for its name: it is no method and styles nothing


def run_quality(settings: Settings, host: ls.Host, *, fresh: bool = False) -> Results:
    """All scores of a run, most of them read again if it was run before; OUT/results.json too.

    Raises:
        LocstyleError: a mistake in the settings, before anything is made.
    """
    editor = ls.Editor.load(
        settings.backbone, device=settings.device, host=host, config=settings.backbone_config
    )
    found, notes = methods(host, editor.backbone, settings)
    real, size = settings.real, settings.size
    cases = list(photo_cases(*real, size, settings.regions)) if real else []
    store = Store.open(settings, fresh=fresh)  # drawing the world cannot fail, so it may come last
    cases = cases or list(world_cases(settings.scenes, settings.regions, size))
    with Progress(len(cases) * (len(found) + 1)) as progress:
        running = _Running(Bench(editor, settings, progress.step), store, progress)
        scores = [score for case in cases for score in running.case(case, found)]
    results = Results(
        title=TITLE,
        settings={**settings.plain, **_circumstances(editor)},
        methods={method.name: method.kind for method in found},
        cases=[case.facts for case in cases],
        scores=scores,
        has_truth=settings.real is None,
        extra_figures=metric_figures(running.metrics),
        notes=[*notes, *running.failed],
    )
    store.finish(results)
    return results


@dataclass(eq=False)
class _Running:
    """What the cases of one run share."""

    bench: Bench
    store: Store
    progress: Progress
    metrics: dict[str, Any] = field(init=False)
    styles: Styles = field(init=False)
    failed: list[str] = field(default_factory=list)  # which method on which case, and why
    _warm: bool = False
    _asked: list[str] = field(init=False)  # metrics, those that turn out not to run included

    def __post_init__(self) -> None:
        bench, host = self.bench, self.bench.editor.host
        self.metrics = {name: host.metric(name) for name in host.names("metrics")}
        self._asked = sorted(self.metrics)
        self.styles = Styles(bench.editor, bench.settings, bench.on_step)

    def case(self, case: Case, found: Sequence[Method]) -> Iterator[Score]:
        """The gate's score, then every method's."""
        self.store.case(case)
        yield from self._gate(case)
        scorer: list[Scorer] = []
        for method in found:
            self.progress.job(case.name, method.name)
            try:
                scores = self._scores(case, method, scorer)
            except ls.LocstyleError as error:  # one plugin's failure is not the whole run's
                self.failed.append(f"{method.name} on {case.name}: {error}")
                scores = []
            self.progress.done()
            yield from scores

    def _scores(self, case: Case, method: Method, scorer: list[Scorer]) -> list[Score]:
        """Read from the store, or run; the scorer is made for the first that has to run."""
        styles = method.styles(case, self.styles)
        key = self._key(case, method, [style.digest for style in styles])
        scores = self.store.read(case.name, method.name, key)
        if scores is None:
            scorer += [] if scorer else [Scorer(case, self.metrics)]
            scores = list(self._run(scorer[0], method, styles))
            self.store.write(case.name, method.name, key, scores)
        return scores

    def _gate(self, case: Case) -> list[Score]:
        self.progress.job(case.name, GATE)
        key = self._key(case, _THE_GATE, [])
        scores = self.store.read(case.name, GATE, key)
        if scores is None:
            with torch.inference_mode():
                picture, figures = gate(self.bench, case)
            self.store.picture(case.name, GATE, picture)
            scores = [Score(case.name, GATE, None, figures)]
            self.store.write(case.name, GATE, key, scores)
        self.progress.done()
        return scores

    def _run(self, scorer: Scorer, method: Method, styles: list[ls.Style]) -> Iterator[Score]:
        case = scorer.case
        if method.encoder and not self._warm:
            self._warm_up(case, method, styles)
        with measured(self.bench.editor.backbone.device) as cost, torch.inference_mode():
            outcome = method.run(self.bench, case, styles)
        self.store.picture(case.name, method.name, outcome.picture)
        # what a picture without any network took says nothing
        costs = {"seconds": cost.seconds, "memory": cost.memory} if outcome.figures else {}
        kept = scorer.edit(outcome.picture)
        yield Score(case.name, method.name, None, {**outcome.figures, **costs, **kept})
        leaks: list[dict[str, float]] = []
        if method.kind == "edit" and self.bench.settings.leak and len(case.masks) > 1:
            with torch.inference_mode():
                alone = method.run(self.bench, case.without_last(), styles[:-1])
            leaks = leaked(case, outcome.picture, alone.picture)
        for index, figures in enumerate(scorer.regions(outcome.picture)):
            more = leaks[index] if index < len(leaks) else {}
            yield Score(case.name, method.name, index, figures | more)

    def _warm_up(self, case: Case, method: Method, styles: list[ls.Style]) -> None:
        """One step, so that no edit is charged with what happens once."""
        settings = replace(self.bench.settings, steps=1)
        with torch.inference_mode():
            method.run(replace(self.bench, settings=settings), case, styles)
        self._warm = True

    def _key(self, case: Case, method: Method, styles: list[str]) -> str:
        settings, backbone = self.bench.settings, self.bench.editor.backbone
        facts = [settings.decisive, backbone.digest, str(backbone.device), ls.__version__]
        return record_key(*facts, case.digest, method.name, method.code, styles, self._asked)


def _circumstances(editor: ls.Editor) -> dict[str, Any]:
    """What the numbers depend on besides the request."""
    backbone = editor.backbone
    return {
        "backbone digest": backbone.digest,
        "device": str(backbone.device),
        "dtype": str(backbone.dtype).removeprefix("torch."),
        "locstyle": ls.__version__,
        "torch": str(torch.__version__),
    }
