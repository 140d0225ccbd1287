"""How a batch is told while it runs and when it is over."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from locstyle.errors import LocstyleError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from locstyle.batches import Batch, Ended

STATES = ("done", "filtered", "failed", "poison")
_SHOWN = 20  # failures that are written out

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Teller:
    """Runs a batch and tells of it; `all` is what became of each task."""

    def __init__(self, planned: Batch, *, is_dry: bool, as_json: bool) -> None:
        self._planned, self._is_dry, self._as_json = planned, is_dry, as_json
        self.all: list[Ended] = []
        self._counts: Counter[str] = Counter()
        self._fresh = 0
        self._since = time.monotonic()
        self._stopped: str | None = None
        self._remarks: set[str] = set()

    @property
    def is_broken(self) -> bool:
        """Whether something failed that was not to be left alone."""
        skipped = self._planned.how.skip_failed
        bad = [one for one in self.all if one.state in ("failed", "poison")]
        return any(one.is_new or not skipped for one in bad)

    @property
    def left(self) -> int:
        """Tasks of which nothing was heard."""
        return self._planned.count - len(self.all)

    def run(self) -> None:
        """Runs it; Ctrl-C lets what is in flight finish, a second one drops it."""
        click.echo(self._opening(), err=True)
        with _bars(self._planned.count) as show, self._stoppable():
            try:
                for ended in self._planned.run(dry=self._is_dry):
                    self._take(ended)
                    show(self._counts, self.left)
            except LocstyleError as error:
                self._stopped = str(error)
                if not self.all:
                    raise
            except KeyboardInterrupt:
                self._stopped = "cancelled, and what was in flight dropped"

    def summarize(self) -> None:
        """The last word, and how to go on."""
        counts = {state: self._counts[state] for state in (*STATES, "planned")}
        seconds = time.monotonic() - self._since
        facts = {**counts, "new": self._fresh, "left": self.left, "seconds": round(seconds, 1)}
        if self._as_json:
            click.echo(json.dumps({"summary": {**facts, **self._cost()}}))
        else:
            words = ", ".join(f"{name} {n}" for name, n in counts.items() if n or name == "done")
            pace = f"; {60 * self._fresh / seconds:.0f} tasks a minute" if self._fresh else ""
            click.echo(f"{words}, left {self.left} of {self._planned.count}{pace}")
            for line in self._costs():
                click.echo(line)
        if self._stopped is not None:
            click.echo(f"error: {self._stopped}", err=True)
        if self.left:
            click.echo(f"left to do: {self.left}; the same command goes on from here", err=True)
            click.get_current_context().exit(130 if self._is_cancelled else 1)

    @property
    def _is_cancelled(self) -> bool:
        return (self._stopped or "").startswith("cancelled")

    def _opening(self) -> str:
        planned = self._planned
        photos, count = len(planned.groups), planned.count
        part = (
            f", part {planned.how.shard[0] + 1} of {planned.how.shard[1]}"
            if planned.how.shard
            else ""
        )
        return f"{photos} photos, {count} tasks{part}; manifest in {planned.manifest.folder}"

    def _take(self, ended: Ended) -> None:
        self.all.append(ended)
        self._counts[ended.state] += 1
        self._fresh += ended.is_new and ended.state in STATES
        if self._as_json:
            click.echo(json.dumps(ended.to_dict(), ensure_ascii=False))
        if ended.state in ("failed", "poison"):
            shown = self._counts["failed"] + self._counts["poison"]
            if shown <= _SHOWN:
                click.echo(f"{ended.state}: {ended.output}: {ended.error}", err=True)
            elif shown == _SHOWN + 1:
                click.echo("failed: more of them; the manifest and --json have all", err=True)
        for remark in ended.remarks:
            if remark not in self._remarks and len(self._remarks) < _SHOWN:
                self._remarks.add(remark)
                click.echo(f"warning: {ended.photo}: {remark}", err=True)

    def _cost(self) -> dict[str, float]:
        """What a dry run found that the rest will cost."""
        planned = [one for one in self.all if one.state == "planned"]
        rows = sum(one.rows or 0 for one in planned)
        current = self._planned.current
        measured = current.measured if current else None
        if not (self._is_dry and planned):
            return {}
        if not (measured and measured[0]):
            return {"rows": rows}
        workers = current.workers if current else 1
        return {"rows": rows, "estimate": round(rows * measured[1] / measured[0] / workers, 1)}

    def _costs(self) -> Iterator[str]:
        cost = self._cost()
        if "estimate" in cost:
            about = _duration(cost["estimate"])
            yield f"to do: {cost['rows']} rows, about {about} on these workers"
        elif cost:
            yield f"to do: {cost['rows']} rows"

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """The first Ctrl-C, or a scheduler's SIGTERM, begins nothing more; the next one breaks."""

        def stop(number: int, frame: FrameType | None) -> None:
            current = self._planned.current
            if current is None or self._stopped is not None:
                raise KeyboardInterrupt
            self._stopped = "cancelled"
            current.stop()
            flying = current.in_flight
            click.echo(f"finishing {flying} in flight; Ctrl-C again drops them", err=True)

        signals = (signal.SIGINT, signal.SIGTERM)
        before: dict[signal.Signals, Handler] = {n: signal.signal(n, stop) for n in signals}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


@contextmanager
def _bars(total: int) -> Iterator[Callable[[Counter[str], int], None]]:
    """A bar with what is done, failed and left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars, bars.add_task("", total=total, counts="", pace="")).show


class _Bar:
    """One bar, and when it began to move."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task, self._since = bars, task, time.monotonic()

    def show(self, counts: Counter[str], left: int) -> None:
        words = ", ".join(f"{state} {n}" for state, n in counts.items())
        pace = 60 * counts.total() / max(1e-3, time.monotonic() - self._since)
        self._bars.update(
            self._task,
            completed=counts.total(),
            counts=f"{words}, left {left}",
            pace=f"{pace:.0f} a minute,",
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
