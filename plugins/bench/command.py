"""`locstyle bench`: the benchmark's command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any  # what click parsed

import click

import locstyle as ls

if TYPE_CHECKING:
    from .results import Results
    from .settings import Settings

_PATH = click.Path(path_type=Path)
_CANCELLED = 130  # as a shell has it after Ctrl-C


@click.group()
def bench() -> None:
    """Measure edits: what they reach, what they keep, what they cost."""


@bench.command()
@click.option("-o", "--output", "out", type=_PATH, required=True, help="The run's folder.")
@click.option(
    "--scenes", type=click.IntRange(1), default=3, show_default=True, help="Per number of regions."
)
@click.option("--regions", default="1,2,3,4", show_default=True, help="How many in a scene.")
@click.option("--solver", help="Of every edit; each fusion's own if not given.")
@click.option(
    "--steps", type=click.IntRange(1, 999), help="Of every edit; each fusion's own if not given."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--size", type=click.IntRange(32), default=128, show_default=True, help="Longer side, pixels."
)
@click.option("--backbone", default="mini", show_default=True, help="A name, folder or file.")
@click.option("--backbone-config", metavar="FOLDER", help="As for `locstyle stylize`.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option(
    "--method", "methods", multiple=True, help="Only this method, fusion or encoder; repeatable."
)
@click.option("--styles", type=_PATH, help="Folder of ready-made styles; missing ones are made.")
@click.option(
    "--encoder-option", "encoders", multiple=True, metavar="ENCODER:KEY=VALUE",
    help="As in lora:steps=100; repeatable.",
)  # fmt: skip
@click.option("--leak/--no-leak", default=True, help="One more edit per case and method.")
@click.option("--shipped", is_flag=True, help="Use the shipped styles where their names match.")
@click.option(
    "--real", type=(_PATH, _PATH), metavar="CONTENT STYLE", help="Folders of photos and paintings."
)
@click.option("--fresh", is_flag=True, help="Throw away what another run left in the folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.pass_context
def quality(ctx: click.Context, fresh: bool, as_json: bool, **given: Any) -> None:
    """Compare every fusion and style encoder with baselines, and with the truth.

    On scenes that the backbone has never seen, in styles it has never seen, or on --real pictures.
    Calling it again goes on where it was stopped.
    """
    from .html import check_extra
    from .runner import run_quality

    check_extra()
    settings = _settings(given)
    try:
        results = run_quality(settings, ctx.obj or ls.default_host(), fresh=fresh)
    except KeyboardInterrupt:
        click.echo("stopped; what is finished is kept, the same command goes on", err=True)
        ctx.exit(_CANCELLED)
    for note in results.notes:
        click.echo(f"left out: {note}", err=True)
    _show(results, settings.out, as_json)


def _settings(given: dict[str, Any]) -> Settings:
    """What was asked for, checked as far as it can be without loading anything."""
    from .photos import pictures_in
    from .settings import Settings, read_encoder_options, read_regions

    given["regions"] = read_regions(given["regions"])
    given["encoders"] = read_encoder_options(given["encoders"])
    settings = Settings(**given)
    if settings.styles is not None and not settings.styles.is_dir():
        raise ls.RecipeError(f"--styles {settings.styles}: no such folder")
    for folder in settings.real or ():
        pictures_in(folder)
    return settings


def _show(results: Results, out: Path, as_json: bool) -> None:
    """Report and sheet beside the results; the tables, or everything as JSON, on stdout."""
    import json

    from rich.console import Console

    from .html import write_report
    from .sheet import write_sheet
    from .table import tables

    sheet, report = write_sheet(results, out), write_report(results, out)
    if as_json:
        click.echo(json.dumps(results.to_dict(), indent=1, allow_nan=False))
    else:
        console = Console()
        for table in tables(results):
            console.print(table)
    click.echo(f"report: {report}\nsheet: {sheet}", err=True)
