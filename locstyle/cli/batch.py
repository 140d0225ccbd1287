"""`locstyle batch`: a recipe on many photos, each once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.shared import (
    PATH,
    config_option,
    device_option,
    dtype_option,
    memory_option,
    rows_option,
)
from locstyle.edit.variation import read_axes
from locstyle.errors import RecipeError

if TYPE_CHECKING:
    from locstyle.plugin.host import Host

FAILED = 1


def _shard(context: click.Context, parameter: click.Parameter, given: str | None) -> Any:
    """Which part: as it is given, else as a scheduler's array says."""
    from locstyle.batches.shards import of_array, read_shard

    return of_array() if given is None else read_shard(given)


@click.command()
@click.argument("photos", nargs=-1, required=True)
@click.option("--recipe", type=PATH, required=True, help="The edit; of a PNG, the one it carries.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PATTERN",
    help="out/{stem}.png: of a photo stem, name, suffix and folder, and each key of --matrix.",
)
@click.option(
    "--matrix",
    multiple=True,
    metavar="KEY=VALUES",
    help="style=a,b,c, seed=1..4, 2.structure=0.2,0.4, …: every combination; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="What there is to do, what it costs, what cannot.")
@click.option(
    "--launcher",
    default="local",
    show_default=True,
    help="local: processes of this machine; ray: actors of a cluster (extra ray).",
)
@click.option("--jobs", type=click.IntRange(1), help="Workers; one a CUDA device or free core.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Of each worker on a CPU; they decide the last bits.",
)
@click.option(
    "--shard",
    callback=_shard,
    metavar="I/N",
    help="Only part I of N, counted from 1; without it as SLURM's array says, if in one.",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a task.")
@click.option("--skip-failed", is_flag=True, help="Leave alone what failed in an earlier run.")
@click.option("--retry-poison", is_flag=True, help="Try once more what took workers down.")
@click.option("--filter-empty", is_flag=True, help="Photos a region means nothing on do not fail.")
@click.option("--replace", is_flag=True, help="Replace outputs of other recipes of this batch.")
@click.option(
    "--carries",
    type=click.Choice(["full", "names", "none"]),
    default="full",
    show_default=True,
    help="What a PNG says of how it was made: all, its files by name only, or nothing.",
)
@click.option("--manifest", metavar="FOLDER", help="Who did what; beside the outputs if not given.")
@click.option("--contact-sheet", type=PATH, help="Also write a page of all pictures, .html.")
@click.option("--ray-address", help="A running cluster, or auto.")
@click.option("--gpus", type=float, help="Of each Ray worker, such as 0.5.")
@dtype_option
@device_option
@config_option
@rows_option
@memory_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, a line a task.")
@click.pass_obj
def batch(host: Host, /, photos: tuple[str, ...], output: str, **given: Any) -> None:
    """Run a recipe on many PHOTOS, each combination once.

    PHOTOS are files, folders, patterns in quotes ('shop/**/*.jpg'), and @list.txt. The same
    command again does what is missing.
    """
    from locstyle.batches import Batch, Batching
    from locstyle.cli.batch_progress import Teller

    page, is_dry, as_json = (given.pop(key) for key in ("contact_sheet", "dry_run", "as_json"))
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"--contact-sheet: got {str(page)!r}; give a file that ends in .html")
    recipe, axes = given.pop("recipe"), read_axes(given.pop("matrix"), "--matrix")
    how = Batching(**given, thumbnails=page is not None)
    planned = Batch.plan(photos, recipe, output, matrix=axes, how=how, host=host)
    told = Teller(planned, is_dry=is_dry, as_json=as_json)
    told.run()
    if page is not None and not is_dry:
        _write_page(page, planned, told)
    told.summarize()
    if told.is_broken:
        click.get_current_context().exit(FAILED)


def _write_page(page: Path, planned: Any, told: Any) -> None:
    from locstyle.batches.page import write_page

    write_page(page, told.all, planned.manifest.folder)
    click.echo(f"contact sheet: {page}", err=True)
