"""Warnings, told to whoever asked for what they are about: each thread hears its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any  # as `warnings` calls

_Ear = Callable[[Warning], None]
_ear: ContextVar[_Ear | None] = ContextVar("locstyle_page_ear", default=None)


@contextmanager
def hearing() -> Iterator[None]:
    """Inside, warnings go to the `heard` of the thread that they are raised in; others as before.

    Python's own way of catching them is for all threads at once.
    """
    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.simplefilter("always", UserWarning)

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            ear = _ear.get()
            if ear is not None and issubclass(category, UserWarning):
                ear(message if isinstance(message, Warning) else category(message))
            else:
                before(message, category, *where, **more)

        warnings.showwarning = show
        yield


@contextmanager
def heard(ear: _Ear) -> Iterator[None]:
    """What is warned of inside, by this thread, is given to `ear`."""
    token = _ear.set(ear)
    try:
        yield
    finally:
        _ear.reset(token)
