"""Whose turn it is: interventions sit on the model itself, so one caller at a time may use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from locstyle.engine.progress import OnStep, Step
from locstyle.errors import BusyError


class Turns:
    """One thread at a time uses a model; the others wait, and nobody starts in the middle of it.

    A backbone has one, so that editors that share a backbone share it too.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._doing: list[str] = []  # by the thread that has the lock, the outermost first
        self._is_telling = False

    @contextmanager
    def take(self, what: str, *, alone: bool = False) -> Iterator[None]:
        """The model is this thread's for the length of the `with`; waits while it is another's.

        A thread that has it may go on to parts of what it does: an edit denoises, a training
        attaches. Nothing is a part of itself, and nothing is started from a callback.

        Args:
            what: as an error says it: "an edit", "a training".
            alone: it is no part of anything.

        Raises:
            BusyError: this thread is in the middle of something that `what` is no part of.
        """
        with self._lock:
            if self._doing and (alone or self._is_telling or what in self._doing):
                raise BusyError(
                    f"{what} cannot start here: this thread is in the middle of "
                    f"{self._doing[0]} on the same backbone; start it when that is over, or in "
                    "another thread, without waiting for it here"
                )
            self._doing.append(what)
            try:
                yield
            finally:
                self._doing.pop()

    def told(self, on_step: OnStep) -> OnStep:
        """`on_step`, from which nothing can be started on the model."""

        def tell(step: Step) -> None:
            before, self._is_telling = self._is_telling, True
            try:
                on_step(step)
            finally:
                self._is_telling = before

        return tell

    def __deepcopy__(self, memo: dict[int, Any]) -> Turns:  # Any: as `copy` has it
        """A copied model is another model."""
        return Turns()
