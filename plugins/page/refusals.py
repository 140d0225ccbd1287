"""What the server refuses, and errors as clients get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # plain data

import locstyle as ls


class Refusal(Exception):
    """A request that is not answered as asked: an HTTP status, a kind, and words.

    `more` stands beside the error in the answer.
    """

    def __init__(
        self, status: int, kind: str, message: str, *, place: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.place, self.more = status, kind, place, more

    def to_dict(self) -> dict[str, Any]:
        return {**told(self), **self.more}


def not_found(what: str) -> Refusal:
    return Refusal(404, "NotFound", what)


def malformed(what: str) -> Refusal:
    return Refusal(400, "Malformed", what)


def refuse_existing(path: Path, shown: str, force: bool) -> None:
    """Nothing is replaced unasked."""
    if path.exists() and not force:
        raise Refusal(409, "Exists", f"{shown} is there already", place="output", path=shown)


def told(error: BaseException) -> dict[str, Any]:
    """An error, or a warning, as the answer `{"error": {kind, message, place}}` has it."""
    return {"error": spoken(error)}


def spoken(error: BaseException) -> dict[str, Any]:
    """Kind, message and place; of what is no error of ours, that it is a bug."""
    if isinstance(error, Refusal):
        return {"kind": error.kind, "message": str(error), "place": error.place}
    if isinstance(error, ls.LocstyleError | ls.LocstyleWarning):
        return {"kind": type(error).__name__, "message": str(error), "place": error.place}
    if isinstance(error, Warning):
        return {"kind": type(error).__name__, "message": str(error), "place": None}
    said = f"a fault of the server's own: {type(error).__name__}: {error}"
    return {"kind": "Bug", "message": said, "place": None}
