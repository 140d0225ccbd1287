"""Making what a plugin offers, the way the host makes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

Made = TypeVar("Made")


def with_defaults(factory: Callable[..., Made]) -> Callable[[], Made]:
    """A maker without arguments: a class with a nested `Options` gets them with their defaults."""
    options = getattr(factory, "Options", None)
    return factory if options is None else partial(factory, options())
