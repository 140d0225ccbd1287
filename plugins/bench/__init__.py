"""`locstyle bench`: what edits reach, keep and cost, measured against baselines and truth.

Light to import: torch and the world are loaded when a benchmark runs.
"""

from __future__ import annotations

import click

import locstyle as ls


@ls.hookimpl
def register_commands(cli: click.Group) -> None:
    from .command import bench

    cli.add_command(bench)
