"""The command line: one file per command; data on stdout, progress and remarks on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO  # Any: what click hands through

import click

from locstyle.cli.batch import batch
from locstyle.cli.card import card
from locstyle.cli.doctor import doctor
from locstyle.cli.inspect import inspect
from locstyle.cli.plugins import plugins
from locstyle.cli.replay import replay
from locstyle.cli.run import run
from locstyle.cli.segment import segment
from locstyle.cli.shared import CLOCK
from locstyle.cli.styles import styles
from locstyle.cli.stylize import stylize
from locstyle.cli.train import train
from locstyle.engine.progress import Clock
from locstyle.errors import LocstyleError, RecipeError, SelectionError
from locstyle.files import cache_folder, noted_files
from locstyle.plugin.host import Host, default_host

CANCELLED = 130  # as a shell has it after Ctrl-C


class CommandLine(click.Group):
    """Our commands and those of plugins; errors of ours end in one sentence,
    and under a selection in a caret.

    The context's `obj` is the Host, the default one unless the caller gave another.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._with_plugins(ctx).commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) or self._with_plugins(ctx).commands.get(cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        _host(ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[CLOCK] = Clock("start")
        with warnings.catch_warnings(), noted_files() as written:
            warnings.filterwarnings("always", module="locstyle")
            warnings.showwarning = partial(_show_warning, set())
            try:
                return super().invoke(ctx)
            except LocstyleError as error:
                if ctx.params["traceback"]:
                    raise
                # Under a selection stands a caret, which only its own lines can place.
                words = str(error) if isinstance(error, SelectionError) else _one_line(error)
                click.echo(f"error: {words}", err=True)
                ctx.exit(2 if isinstance(error, RecipeError) else 1)
            except KeyboardInterrupt:
                click.echo(f"cancelled; {_said(written)}", err=True)
                ctx.exit(CANCELLED)

    def _with_plugins(self, ctx: click.Context) -> click.Group:
        """A copy of this group that plugins have added to; the group itself stays as it is."""
        group = click.Group(commands=dict(self.commands))
        _host(ctx).add_commands(group)
        return group


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="locstyle")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def main(traceback: bool) -> None:
    """Different regions of one photo, different styles; everything else bit for bit."""


def _host(ctx: click.Context) -> Host:
    if ctx.obj is None:
        ctx.obj = default_host()
    host: Host = ctx.obj
    return host


def _said(written: Sequence[Path]) -> str:
    """What a cancelled command leaves behind, in words, but for what is kept for later runs."""
    cache = cache_folder()
    left = [path for path in written if path.exists() and cache not in path.parents]
    names = ", ".join(dict.fromkeys(map(str, left)))
    return f"written before that: {names}" if names else "nothing was written"


def _show_warning(
    said: set[str],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    words = _one_line(message)
    if words not in said:  # a file that is read twice says the same twice
        said.add(words)
        click.echo(f"warning: {words}", err=True)


def _one_line(message: object) -> str:
    return "; ".join(line.strip() for line in str(message).splitlines())


_edits = (stylize, run, batch, replay)
for _command in (*_edits, segment, train, styles, inspect, card, plugins, doctor):
    main.add_command(_command)
