"""Running a batch: who does what next, what became of it, and what to do when somebody dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from locstyle import errors
from locstyle.batches.identity import Facts
from locstyle.batches.launch import Launcher, News
from locstyle.batches.manifest import Manifest
from locstyle.batches.ready import Ready
from locstyle.batches.task import Batching, Ended, Known
from locstyle.errors import LocstyleError, OutputError

GRACE = 10
"""Seconds beyond its time after which a task's worker is ended: it did not stop by itself."""

_TURN = 0.5  # seconds after which clocks are looked at again
_STILLBORN = 3  # workers in a row that end before they say hello


@dataclass
class _Desk:
    """A seat as it is now: what it is to do, and what it is doing."""

    queue: deque[Known] = field(default_factory=deque)
    doing: Known | None = None
    since: float = 0.0
    is_ready: bool = False


class Foreman:
    """One run of a batch's tasks, of what is still to do.

    Iterating gives what becomes of each task, those that ended before this run first met.
    """

    def __init__(self, ready: Ready, launcher: Launcher, manifest: Manifest, how: Batching) -> None:
        self._ready, self._launcher, self._manifest = ready, launcher, manifest
        self._how = how
        self._desks: dict[int, _Desk] = {}
        self._facts: Facts | None = None
        self._stillborn = 0
        self._waiting: list[Known] = []  # a photo's tasks that no worker has yet
        self._is_stopping = False
        self._full: str | None = None
        self.measured: list[float] | None = None

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return self._launcher.seats

    @property
    def in_flight(self) -> int:
        """Tasks that are being done now."""
        return sum(desk.doing is not None for desk in self._desks.values())

    def stop(self) -> None:
        """Begins nothing more; what is being done is finished."""
        self._is_stopping = True

    def __iter__(self) -> Iterator[Ended]:
        try:
            self._start(0)  # the others once there is something for them to do
            while True:
                yield from self._assign()
                yield from self._widen()
                if self._is_over():
                    break
                for news in self._launcher.wait(_TURN):
                    yield from self._heard(news)
                yield from self._overdue()
        finally:
            self._launcher.close()
        if self._full is not None:
            raise OutputError(
                f"the disk is full ({self._full}); make room and give the same command again, "
                "which goes on from here"
            )

    def _start(self, seat: int) -> None:
        self._desks[seat] = _Desk()
        self._launcher.start(seat)

    def _is_over(self) -> bool:
        if self.in_flight:
            return False
        is_waiting = self._waiting or any(desk.queue for desk in self._desks.values())
        has_all = self._facts is not None and self._ready.is_empty and not is_waiting
        return self._is_stopping or has_all

    def _assign(self) -> Iterator[Ended]:
        """Gives every free worker something to do, as far as there is anything."""
        for seat, desk in list(self._desks.items()):
            while desk.is_ready and desk.doing is None and not self._is_stopping:
                if not desk.queue:
                    yield from self._take_group(desk)
                if not desk.queue:
                    break
                known = desk.queue.popleft()
                ended, message = self._ready.look_again(known)
                if ended is not None:
                    yield ended
                    continue
                desk.doing, desk.since = known, time.monotonic()
                self._launcher.send(seat, {**message, "do": self._word()})

    def _widen(self) -> Iterator[Ended]:
        """Begins the other workers as soon as there is more to do than is being done."""
        missing = [seat for seat in range(self._launcher.seats) if seat not in self._desks]
        if not missing or not self.in_flight or self._is_stopping:
            return
        if not self._waiting:
            self._waiting += yield from self._ready.next_group()
        if self._waiting or any(desk.queue for desk in self._desks.values()):
            for seat in missing:
                self._start(seat)

    def _word(self) -> str:
        """What is asked: of a dry run's first task also how long it takes."""
        if not self._ready.is_dry:
            return "task"
        if self.measured is not None:
            return "look"
        self.measured = []
        return "measure"

    def _take_group(self, desk: _Desk) -> Iterator[Ended]:
        """A photo's tasks, or half of those that another worker has before it."""
        group, self._waiting = self._waiting, []
        group = group or (yield from self._ready.next_group())
        if group:
            desk.queue.extend(group)
            return
        longest = max(self._desks.values(), key=lambda one: len(one.queue))
        for _ in range((len(longest.queue) + 1) // 2):
            desk.queue.appendleft(longest.queue.pop())

    def _heard(self, news: News) -> Iterator[Ended]:
        if news.kind == "hello":
            self._greeted(news)
        elif news.kind == "died":
            yield from self._died(news)
        else:
            yield from self._answered(news)

    def _greeted(self, news: News) -> None:
        """A worker that can begin; all of a batch are of one kind.

        Raises:
            LocstyleError: it cannot, or is of another kind.
        """
        said = news.said
        if said["is"] == "refused":
            raise getattr(errors, said["kind"], LocstyleError)(said["error"])
        facts = Facts(**said["facts"])
        if self._facts is None:
            self._facts = facts
            self._ready.begin(facts)
        elif facts != self._facts:
            raise LocstyleError(
                f"workers: one has {facts}, another {self._facts}; a batch needs them alike"
            )
        self._stillborn = 0
        self._desks[news.seat].is_ready = True

    def _answered(self, news: News) -> Iterator[Ended]:
        desk, said = self._desks[news.seat], news.said
        known, desk.doing = desk.doing, None
        if known is None:
            return
        if self._ready.is_dry:  # one that failed has measured nothing, so the next one does
            self.measured = said.get("measured") or self.measured or None
        if said.get("spent"):
            self._replace(news.seat)
        if said["is"] == "full":
            self.stop()
            self._full = said["error"]
            return
        if said["is"] == "look":
            yield Ended.of(known, "planned", rows=said["rows"], remarks=tuple(said["remarks"]))
            return
        if not self._ready.is_dry:
            self._manifest.take({**known.told, **said})
        more = {key: said.get(key) for key in ("error", "rows", "seconds")}
        yield Ended.of(known, said["is"], remarks=tuple(said["remarks"]), **more)

    def _died(self, news: News) -> Iterator[Ended]:
        """A worker ended by itself: another takes its place, and its task goes back."""
        desk, error = self._desks[news.seat], news.said["error"]
        if not desk.is_ready:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                raise LocstyleError(f"workers: {self._stillborn} could not begin; {error}")
        if (known := desk.doing) is not None:
            error = f"took its worker down: {error}"
            yield from self._failed(known, "crash", error)
        self._replace(news.seat)

    def _overdue(self) -> Iterator[Ended]:
        """Ends workers that do not stop by themselves once their task's time is over."""
        most = self._how.timeout
        if most is None:
            return
        for seat, desk in list(self._desks.items()):
            if desk.doing is not None and time.monotonic() - desk.since > most + GRACE:
                known = desk.doing
                self._launcher.stop(seat)
                error = f"took longer than {most:g} s, and did not stop; give more with --timeout"
                yield from self._failed(known, "failed", error)
                self._replace(seat)

    def _failed(self, known: Known, kind: str, error: str) -> Iterator[Ended]:
        """Says of a task, whose worker cannot any more, that it failed or crashed."""
        self._ready.tell(known, kind, error=error)
        standing = self._manifest.standing(known.id, known.task.output)
        if kind == "failed" or standing.is_poison:
            yield Ended.of(known, "failed" if kind == "failed" else "poison", error=error)
        else:
            self._ready.give_back(known)

    def _replace(self, seat: int) -> None:
        """Another worker in that seat; what it was to do goes on."""
        waiting = self._desks.pop(seat).queue
        self._launcher.stop(seat)
        if not self._is_stopping:
            self._start(seat)
            self._desks[seat].queue = waiting
