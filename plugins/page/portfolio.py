"""What was drawn: a picture and a recipe each, and the pixels of the newest render."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import RLock
from typing import Any  # plain data

import locstyle as ls

from . import pictures
from .pictures import ScreenPicture
from .refusals import not_found

MOST = 100


@dataclass(frozen=True)
class Work:
    """A result as clients see it: `facts`, its `preview`, and the edit that was `asked`."""

    facts: dict[str, Any]
    preview: ScreenPicture
    asked: ls.Edit


class Portfolio:
    """The newest results; the pixels of one of them, at full size."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[str, Work] = OrderedDict()
        self._held: tuple[str, ls.Result] | None = None
        self._lock = RLock()

    def add(self, drawn: Work, result: ls.Result | None) -> Work:
        with self._lock:
            self._drawn[drawn.facts["id"]] = drawn
            if result is not None:
                self._held = drawn.facts["id"], result
            while len(self._drawn) > MOST:
                self.forget(next(iter(self._drawn)))
        return drawn

    def let_go(self) -> None:
        """Holds no pixels any more, so that the next render has room."""
        self._held = None

    def held(self, id: str) -> ls.Result | None:
        """The pixels of a result, if they are held."""
        with self._lock:
            return self._held[1] if self._held and self._held[0] == id else None

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [self.told(drawn) for drawn in reversed(self._drawn.values())]

    def find(self, id: str) -> Work:
        with self._lock:
            if id not in self._drawn:
                raise not_found("no result of that id")
            return self._drawn[id]

    def told(self, drawn: Work) -> dict[str, Any]:
        return {**drawn.facts, "held": self.held(drawn.facts["id"]) is not None}

    def forget(self, id: str) -> None:
        with self._lock:
            self.find(id)
            del self._drawn[id]
            if self._held and self._held[0] == id:
                self._held = None

    def tile(self, id: str, level: int, column: int, row: int) -> ScreenPicture:
        self.find(id)
        result = self.held(id)
        found = None if result is None else pictures.tile(result.photo, level, column, row)
        if found is None:
            raise not_found("no such tile, or its pixels are not held; show the preview")
        return found
