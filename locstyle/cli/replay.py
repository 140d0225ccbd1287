"""`locstyle replay`: does an edit come out the same again?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.planning import Loading, run_edit
from locstyle.cli.shared import (
    PATH,
    config_option,
    device_option,
    download_option,
    dtype_option,
    json_option,
    memory_option,
    print_json,
    rows_option,
)

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


@click.command()
@click.argument("picture", type=PATH)
@device_option
@dtype_option
@config_option
@rows_option
@memory_option
@download_option
@json_option
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    picture: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Run a PICTURE's own edit again and compare.

    Only a PNG of ours carries its edit. Exits with 0 if every pixel comes out the same, to within
    1/255, else with 1.
    """
    from locstyle.photo import Photo
    from locstyle.replay import compare, embedded_edit

    host: Host = ctx.obj
    before, edit = Photo.open(picture), embedded_edit(picture)
    # No cache: the question is whether everything comes out the same.
    loading = Loading(cache=False, config=given.pop("backbone_config"), **given)
    again = run_edit(host, edit, loading, check=False)
    outcome = compare(before, edit, again)
    if as_json:
        print_json(outcome.to_dict())
    else:
        click.echo(outcome.describe())
    ctx.exit(0 if outcome.is_same else 1)
