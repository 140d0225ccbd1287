"""`locstyle run`: one edit from a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.planning import print_plan, run_and_save
from locstyle.cli.shared import (
    PATH,
    Running,
    download_option,
    running_options,
    sampling_options,
)
from locstyle.edit import Edit

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


@click.command()
@click.argument("recipe", type=PATH)
@sampling_options
@click.option("--seed", type=int, help="Instead of the recipe's.")
@click.option("--size", type=int, help="Working size in pixels a side, instead of the recipe's.")
@click.option(
    "--dry-run", is_flag=True, help="Print the recipe as it would be run, and the plan, and stop."
)
@download_option
@running_options
@click.pass_obj
def run(
    host: Host,
    /,
    recipe: Path,
    solver: str | None,
    steps: int | None,
    seed: int | None,
    size: int | None,
    quick: bool,
    accelerator: str | None,
    dry_run: bool,
    download: bool,
    **given: Any,
) -> None:
    """Run the edit of a RECIPE.

    YAML or JSON, or a PNG that carries one; its paths are relative to the recipe. What is given
    here stands in for what the recipe says.
    """
    is_picture = recipe.suffix.lower() == ".png"
    edit = _carried(recipe) if is_picture else Edit.open(recipe)
    edit = edit.previewed() if quick else edit
    named: dict[str, Any] = {"solver": solver, "steps": steps, "seed": seed, "size": size}
    named["accelerator"] = accelerator
    edit = replace(edit, **{key: value for key, value in named.items() if value is not None})
    running = Running(**given)
    edit = running.configured(edit)
    # Whoever sends a picture must not make a model come along.
    fetch = download or not is_picture
    act = print_plan if dry_run else run_and_save
    act(host, edit, running, inputs=(recipe,), download=fetch)


def _carried(picture: Path) -> Edit:
    from locstyle.replay import embedded_edit

    return replace(embedded_edit(picture), digests={})
