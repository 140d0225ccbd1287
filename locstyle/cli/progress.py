"""Progress of long work on stderr: phase, step, time left, loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from locstyle.engine.progress import OnStep, Step


@contextmanager
def progress() -> Iterator[OnStep]:
    """An `OnStep` that draws one bar per phase, for as long as the `with` lasts."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    try:
        yield _Bars(bars).show
    finally:
        if bars.live.is_started:  # otherwise it would leave an empty line
            bars.stop()


class _Bars:
    """The bars drawn so far, by phase."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._phases: dict[str, TaskID] = {}

    def show(self, step: Step) -> None:
        if not self._phases:  # not before: an error ahead of the first step stands alone
            self._bars.start()
        if step.phase not in self._phases:
            self._phases[step.phase] = self._bars.add_task(step.phase, total=step.total, loss="")
        loss = "" if step.loss is None else f"loss {step.loss:.4f}"
        self._bars.update(self._phases[step.phase], completed=step.index, loss=loss)
