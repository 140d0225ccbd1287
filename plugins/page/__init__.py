"""`locstyle edit` and `locstyle serve`: an edit in the browser, and the HTTP API behind the page.

docs/server.md describes the API. Light to import: the server is loaded when it is started.
"""

from __future__ import annotations

import click

import locstyle as ls


@ls.hookimpl
def register_commands(cli: click.Group) -> None:
    """Offer `locstyle edit` and `locstyle serve`."""
    from .command import edit, serve

    cli.add_command(edit)
    cli.add_command(serve)
