"""`locstyle inspect`: what a file is and fits, without loading a backbone."""

from __future__ import annotations

from pathlib import Path

import click

from locstyle.cli.shared import PATH, json_option, print_json


@click.command()
@click.argument("file", type=PATH)
@json_option
def inspect(file: Path, as_json: bool) -> None:
    """Say what a model FILE is, what it says of itself, and what it fits.

    A style of any tool, also by its name, a checkpoint, or a folder of either; read is its header
    alone.
    """
    from locstyle.inspection import inspect_file
    from locstyle.style import find_style

    found = inspect_file(file if file.suffix else find_style(file))
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(found.describe())
