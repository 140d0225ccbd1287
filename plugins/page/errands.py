"""What takes long: each an object of its own with its own cancel, done one after another."""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Any  # plain data

import locstyle as ls

from .events import Log
from .headway import Headway
from .hearing import heard
from .refusals import Refusal, spoken

MOST_WAITING = 64
KEPT = 64
OPEN = ("waiting", "running")
SHORT = ("preview", "foretell")
"""Kinds that go before others."""


class CalledOff(Exception):
    """Raised from an errand's `on_step` when it was cancelled."""


class Errand:
    """One thing to do, and how far it is; what clients call a job."""

    def __init__(self, kind: str, client: str, do: Callable[[Errand], Any]) -> None:
        self.id = secrets.token_hex(8)
        self.kind, self.client, self.made = kind, client, time.time()
        self.state = "waiting"
        self.result: Any = None  # plain data
        self.error: BaseException | None = None
        self.warnings: list[dict[str, Any]] = []
        self.log = Log(most=5000)
        self.progress = Headway()
        self.picture: tuple[int, bytes] | None = None
        self.ended = threading.Event()
        self._do: Callable[[Errand], Any] | None = do
        self._off = threading.Event()
        self._lock = threading.Lock()

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "client": self.client,
            "state": self.state,
            "made": self.made,
            "step": self.progress.to_dict(),
            "error": None if self.error is None else spoken(self.error),
            "warnings": self.warnings,
            "result": self.result,
        }

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def cancel(self) -> None:
        """Ends it: at once while it waits, within a step while it runs."""
        self._off.set()
        with self._lock:
            if self.state == "waiting":
                self._end("cancelled")

    def check(self) -> None:
        """Raises CalledOff where it was cancelled."""
        if self._off.is_set():
            raise CalledOff

    def phase(self, name: str) -> None:
        """What is done now, where no steps are counted."""
        self.check()
        self.progress.enter(name)
        self.log.add("step", self.progress.to_dict())

    def on_step(self, step: ls.Step) -> None:
        """Tells clients of a step; a picture of it now and then."""
        self.check()
        self.progress.step(step)
        self.log.add("step", self.progress.to_dict())
        if picture := self.progress.picture(step):
            self.picture = self.progress.pictures, picture
            self.log.add("picture", {"step": self.progress.pictures})
        self.check()

    def run(self) -> None:
        """Does it, in the thread of the caller."""
        with self._lock:
            if self.state != "waiting":
                return
            self.state = "running"
        self.log.add("state", self.to_dict())
        try:
            with heard(self._warn):
                self.result = self._do(self) if self._do else None
            self._end("done")
        except CalledOff:
            self._end("cancelled")
        except BaseException as error:  # a bug in one must not end the thread
            if not isinstance(error, ls.LocstyleError | Refusal):
                traceback.print_exc()
            self.error = error.with_traceback(None)
            self._end("failed")

    def _end(self, state: str) -> None:
        self.state, self._do = state, None
        self.log.add(state, self.to_dict(), last=True)
        self.ended.set()

    def _warn(self, warning: Warning) -> None:
        said = spoken(warning)
        if said not in self.warnings:
            self.warnings.append(said)
            self.log.add("warning", said)


class Line:
    """A thread that does errands; short ones before others, each in the order they came."""

    def __init__(self, name: str, on_change: Callable[[Errand], None]) -> None:
        self._known: OrderedDict[str, Errand] = OrderedDict()
        self._news, self._is_closed, self._on_change = threading.Condition(), False, on_change
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def all(self) -> list[Errand]:
        """The errands it knows, newest first."""
        with self._news:
            return list(reversed(self._known.values()))

    def find(self, id: str) -> Errand | None:
        with self._news:
            return self._known.get(id)

    def add(self, errand: Errand, *, replaces: tuple[str, ...] = ()) -> Errand:
        """Puts it in line; those of its client's kinds `replaces` are cancelled.

        Raises:
            Refusal: too many wait.
        """
        errand.log.add("state", errand.to_dict())
        with self._news:
            mine = [e for e in self._known.values() if e.is_open and e.client == errand.client]
            old = [e for e in mine if e.kind in replaces]
            waiting = sum(e.state == "waiting" for e in self._known.values())
            if waiting - len(old) >= MOST_WAITING:
                raise Refusal(429, "TooMany", f"{waiting} jobs are waiting; cancel some first")
            self._known[errand.id] = errand
            for gone in [e.id for e in self._known.values() if not e.is_open][:-KEPT]:
                del self._known[gone]
            self._news.notify_all()
        for one in old:
            one.cancel()
        self._on_change(errand)
        return errand

    def close(self) -> None:
        """Cancels everything and waits for the thread to end."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        for errand in self.all():
            errand.cancel()
        self._thread.join(timeout=30)

    def _next(self) -> Errand | None:
        with self._news:
            while not self._is_closed:
                waiting = [e for e in self._known.values() if e.state == "waiting"]
                if waiting:
                    return min(waiting, key=lambda e: (e.kind not in SHORT, e.made))
                self._news.wait()
        return None

    def _work(self) -> None:
        while (errand := self._next()) is not None:
            errand.run()
            self._on_change(errand)
