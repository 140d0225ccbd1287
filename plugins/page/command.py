"""`locstyle edit` and `locstyle serve`."""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar  # Any: what click parsed

import click

import locstyle as ls

if TYPE_CHECKING:
    from .startup import Startup

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)


def _options(command: _Command) -> _Command:
    for option in (
        click.option(
            "--cache/--no-cache",
            default=True,
            show_default=True,
            help="Keep inversions on disk for later runs, and use those kept.",
        ),
        click.option(
            "--dtype",
            type=click.Choice(["auto", "float32", "float16", "bfloat16"]),
            default="auto",
            show_default=True,
            help="As for `locstyle stylize`.",
        ),
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …"),
        click.option("--backbone-config", metavar="FOLDER", help="As for `locstyle stylize`."),
        click.option(
            "--memory",
            type=click.Choice(["auto", "low"]),
            default="auto",
            show_default=True,
            help="As for `locstyle stylize`.",
        ),
        click.option(
            "--backbone", default="mini", show_default=True, help="A name, folder or file."
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=0,
            help="Of 127.0.0.1; any free one if not given.",
        ),
        click.option(
            "--root",
            type=_PATH,
            help="The folder whose files may be opened and written; the photo's, else this one.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("photo", required=False, type=_PATH)
@click.option(
    "--browser/--no-browser", default=True, show_default=True, help="Open the page in a browser."
)
@_options
@click.pass_obj
def edit(host: ls.Host, /, photo: Path | None, browser: bool, **given: Any) -> None:
    """Edit PHOTO in the browser: a picture, a recipe, or a picture that carries one.

    Prints the page's address; Ctrl-C ends it. Nobody but this machine can reach it, and nobody
    without the address.
    """
    _serve(host, photo, given, browser)


@click.command()
@click.argument("photo", required=False, type=_PATH)
@_options
@click.pass_obj
def serve(host: ls.Host, /, photo: Path | None, **given: Any) -> None:
    """Serve the editor's HTTP API, for programs (docs/server.md), and its page."""
    _serve(host, photo, given, browser=False)


def _serve(host: ls.Host | None, photo: Path | None, given: dict[str, Any], browser: bool) -> None:
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ls.PluginError(f"needs {' and '.join(missing)}; {ls.pip_line('edit')}")
    port = given.pop("port")
    startup = started(photo, given.pop("root"), **given)
    from .serving import serve as run

    def tell(address: str) -> None:
        click.echo(address)
        click.echo("Ctrl-C ends it", err=True)
        if browser and not webbrowser.open(address):
            click.echo("no browser opened by itself; open the address above", err=True)

    with contextlib.suppress(KeyboardInterrupt):
        run(startup, host or ls.default_host(), port, tell)


def started(photo: Path | None, root: Path | None, **more: Any) -> Startup:
    """What to start with; refuses what is not there before anything is served.

    Raises:
        PhotoError: there is no such file, or it does not lie in the root.
        RecipeError: the root is no folder.
    """
    from .startup import Startup

    folder = Path.cwd() if root is None and photo is None else root or photo.absolute().parent
    if not folder.is_dir():
        raise ls.RecipeError(f"--root {str(folder)!r}: no such folder")
    folder, first = folder.absolute(), None
    if photo is not None:
        if not photo.is_file():
            raise ls.PhotoError(f"{str(photo)!r} is not a file; give a picture or a recipe")
        try:
            first = photo.absolute().relative_to(folder).as_posix()
        except ValueError as error:
            raise ls.PhotoError(f"{photo}: lies outside --root {folder}") from error
    return Startup(folder, first, **more)
