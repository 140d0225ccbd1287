"""Progress of a benchmark on stderr: which method on which case, how far, time left."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import locstyle as ls


class Progress:
    """One bar over all jobs, with the present one's own steps beside it."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description} {task.fields[step]}"),
            console=Console(stderr=True),
        )
        self._task = self._bars.add_task("", total=total, step="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._bars.stop()

    def job(self, case: str, method: str) -> None:
        """What is worked on from now on."""
        self._bars.update(self._task, description=f"{case}: {method}", step="")

    def step(self, step: ls.Step) -> None:
        """An `OnStep`."""
        self._bars.update(self._task, step=f"({step.phase} {step.index}/{step.total})")

    def done(self) -> None:
        """One job more is finished."""
        self._bars.advance(self._task)
