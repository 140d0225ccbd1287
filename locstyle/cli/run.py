"""`locstyle run`: one edit from a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.shared import PATH, Running, run_and_save, running_options, sampling_options
from locstyle.edit import Edit

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


@click.command()
@click.argument("recipe", type=PATH)
@sampling_options
@click.option("--seed", type=int, help="Instead of the recipe's.")
@running_options
@click.pass_obj
def run(
    host: Host,
    /,
    recipe: Path,
    solver: str | None,
    steps: int | None,
    seed: int | None,
    quick: bool,
    **given: Any,
) -> None:
    """Run the edit of a RECIPE.

    YAML or JSON; its paths are relative to the recipe. What is given here stands in for what the
    recipe says.
    """
    edit = Edit.open(recipe)
    edit = edit.previewed() if quick else edit
    named: dict[str, Any] = {"solver": solver, "steps": steps, "seed": seed}
    edit = replace(edit, **{key: value for key, value in named.items() if value is not None})
    run_and_save(host, edit, Running(**given), inputs=(recipe,))
