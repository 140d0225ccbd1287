"""How workers are started, told and heard: what every launcher does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from locstyle.batches.worker import Message


class News(NamedTuple):
    """What a seat says: `hello`, with its facts; an `answer` to what it was sent; or that its
    worker `died`, with the reason as `error`."""

    seat: int
    kind: Literal["hello", "answer", "died"]
    said: Message


class Launcher(Protocol):
    """Seats for workers, numbered from 0; each does one thing at a time.

    A worker ends when its launcher's process does, however that ends. Pixels never pass through
    here: messages are plain data.
    """

    seats: int
    """How many workers it has room for."""

    def start(self, seat: int) -> None:
        """Begins a worker there; it says `hello`, or dies."""

    def send(self, seat: int, message: Message) -> None:
        """Asks the worker there for something; it answers, or dies."""

    def wait(self, seconds: float) -> list[News]:
        """What came in; waits at most so long for the first."""

    def stop(self, seat: int) -> None:
        """Ends the worker there at once; it says nothing more, not even that it died."""

    def close(self) -> None:
        """Ends all of them."""


def refusal(error: Exception) -> dict[str, Any]:
    """What a worker says that cannot begin: the error's kind and words."""
    return {"is": "refused", "kind": type(error).__name__, "error": str(error)}
