"""`locstyle run`: one edit from a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.shared import PATH, Running, run_and_save, running_options
from locstyle.edit import Edit

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--steps", type=int, help="Instead of the recipe's.")
@click.option("--seed", type=int, help="Instead of the recipe's.")
@running_options
@click.pass_obj
def run(host: Host, /, recipe: Path, steps: int | None, seed: int | None, **given: Any) -> None:
    """Run the edit of a RECIPE.

    YAML or JSON; its paths are relative to the recipe.
    """
    edit = Edit.open(recipe)
    edit = replace(
        edit,
        steps=edit.steps if steps is None else steps,
        seed=edit.seed if seed is None else seed,
    )
    run_and_save(host, edit, Running(**given), inputs=(recipe,))
