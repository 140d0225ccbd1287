"""What happened, one after another, for any number of clients that read along or catch up."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from threading import Lock
from typing import Any, NamedTuple  # plain data

PAUSE = 5.0
"""Seconds without an event after which a comment is sent, so that both sides know."""


class Event(NamedTuple):
    """`number` counts from 1 in its log."""

    number: int
    name: str
    data: Any

    def line(self) -> bytes:
        """As an event stream has it."""
        data = json.dumps(self.data, ensure_ascii=False)
        return f"id: {self.number}\nevent: {self.name}\ndata: {data}\n\n".encode()


class Log:
    """Events from any thread; the last `most` are kept for who comes later."""

    def __init__(self, most: int = 1000) -> None:
        self._events: deque[Event] = deque(maxlen=most)
        self._count, self._is_closed = 0, False
        self._lock = Lock()
        self._readers: set[Callable[[], None]] = set()

    @property
    def count(self) -> int:
        """The number of the newest event."""
        return self._count

    def add(self, name: str, data: Any, *, last: bool = False) -> None:
        """One more event; after the `last` no stream goes on."""
        with self._lock:
            if self._is_closed:
                return
            self._count += 1
            self._events.append(Event(self._count, name, data))
            self._is_closed = last
            readers = list(self._readers)
        for wake in readers:
            wake()

    def since(self, number: int) -> tuple[list[Event], bool]:
        """The events after that number, and whether there will be none any more."""
        with self._lock:
            return [event for event in self._events if event.number > number], self._is_closed

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """The lines of an event stream from the event after `after`, to the last."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        with self._lock:
            self._readers.add(wake)
        try:
            while True:
                news.clear()
                events, is_closed = self.since(after)
                for event in events:
                    after = event.number
                    yield event.line()
                if is_closed:
                    return
                try:
                    await asyncio.wait_for(news.wait(), PAUSE)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._readers.discard(wake)
