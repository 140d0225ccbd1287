"""DEADiff: the style of a picture as tokens that attention reads beside the text
(arXiv:2403.06951)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import locstyle as ls

if TYPE_CHECKING:
    import click


@ls.hookimpl
def register_style_encoders(register: Any) -> None:
    from .encoder import QFormer

    register("qformer", QFormer)


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    from .fusion import DEADiff

    register("deadiff", DEADiff)


@ls.hookimpl
def register_commands(cli: click.Group) -> None:
    from .command import convert

    cli.add_command(convert)
