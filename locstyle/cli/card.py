"""`locstyle card`: a style's card for a hub of models."""

from __future__ import annotations

from pathlib import Path

import click

from locstyle.cli.shared import PATH
from locstyle.errors import OutputError


@click.command()
@click.argument("file", type=PATH)
@click.option("-o", "--output", type=PATH, help="The card to write; its preview goes beside it.")
def card(file: Path, output: Path | None) -> None:
    """Write the card of a style FILE, from its header: trigger, family, licence, preview, command.

    FILE is a path, or a name as in an edit. Markdown, as model hubs read it; on stdout without -o.
    """
    from locstyle.card import PREVIEW, card
    from locstyle.files import check_output, write_atomic
    from locstyle.style import find_style, read_preview

    file = file if file.suffix else find_style(file)
    text = card(file)
    if output is None:
        click.echo(text, nl=False)
        return
    check_output(output, [file], suffixes=(".md",))
    if (shown := read_preview(file)) is not None:
        beside = output.with_name(PREVIEW)
        if beside.exists() and beside.read_bytes() != shown:
            raise OutputError(f"{beside}: is another picture; write to another folder")
        write_atomic(beside, shown)
    write_atomic(output, text.encode())
    click.echo(output)
