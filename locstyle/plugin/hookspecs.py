"""What a plugin may offer: six hooks, entry-point group and pluggy marker "locstyle".

A plugin is a module named by an entry point of that group. Its module level stays light: torch and
other heavy imports belong into the factories, which run when somebody asks for what they make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    import click

hookspec = pluggy.HookspecMarker("locstyle")
hookimpl = pluggy.HookimplMarker("locstyle")

# Any: a factory returns a Segmenter, StyleEncoder, Fusion, Backbone or Metric, as its hook says.
Factory = Callable[..., Any]


class Register(Protocol):
    """Takes one contribution: a lower-case kebab name and the factory that makes it.

    A class with a nested frozen dataclass `Options` is called with an instance of it, any other
    factory with nothing. A backbone loader is called as `loader(name, device, dtype)`.
    """

    def __call__(self, name: str, factory: Factory) -> None: ...


@hookspec
def register_segmenters(register: Register) -> None:
    """Offer segmenters, image and prompt → segments: `register(name, factory)`."""


@hookspec
def register_style_encoders(register: Register) -> None:
    """Offer style encoders, images → Style: `register(name, factory)`."""


@hookspec
def register_fusions(register: Register) -> None:
    """Offer fusions, Scene → Plan: `register(name, factory)`."""


@hookspec
def register_backbones(register: Register) -> None:
    """Offer backbones by family: `register(family, loader)` with `loader(name, device, dtype)`."""


@hookspec
def register_metrics(register: Register) -> None:
    """Offer metrics, learned ones, output and reference → number: `register(name, factory)`."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add click commands to the `locstyle` command line; the context's `obj` is the Host."""
