"""Options several commands have, and what they share in running an edit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar  # Any: plain data, and what click parsed

import click

from locstyle.edit.recipe import from_yaml
from locstyle.errors import RecipeError

if TYPE_CHECKING:
    from locstyle.edit import Edit
    from locstyle.engine.backbones.load import Memory
    from locstyle.result import Recipe

_Command = TypeVar("_Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
CLOCK = "locstyle.clock"
"""Where the context's `meta` has the Clock that runs since the command began."""
DTYPES = ("auto", "float32", "float16", "bfloat16")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
dtype_option = click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="auto",
    show_default=True,
    help="auto: float16 on CUDA, bfloat16 for large models on CPUs with AMX, else float32.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …"
)


@dataclass(frozen=True)
class Running:
    """How to run an edit and where its results go."""

    output: Path | None
    device: str
    dtype: str
    check: bool
    as_json: bool
    contact_sheet: Path | None
    cache: bool
    carries: Recipe
    explain_frames: Path | None
    backbone_config: str | None
    max_rows: int | None
    memory: Memory

    def configured(self, edit: Edit) -> Edit:
        """The edit with the configuration of its backbone that was given beside it, if any was."""
        given = self.backbone_config
        return edit if given is None else replace(edit, backbone_config=given)


rows_option = click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="So many rows in one pass of the network at most: less memory, more time.",
)
memory_option = click.option(
    "--memory",
    type=click.Choice(["auto", "low"]),
    default="auto",
    show_default=True,
    help="low: what is not in use leaves the GPU, and few rows run at once; auto: if it must.",
)
config_option = click.option(
    "--backbone-config",
    metavar="FOLDER",
    help="A diffusers folder or hub name with the configuration of a backbone in one file.",
)


def running_options(command: _Command) -> _Command:
    """The options of `Running`, which a command takes as `**given`."""
    for option in (
        json_option,
        click.option(
            "--recipe",
            "carries",
            type=click.Choice(["full", "names", "none"]),
            default="full",
            show_default=True,
            help="What a PNG says of how it was made: all, its files by name only, or nothing.",
        ),
        click.option("--contact-sheet", type=PATH, help="Also write input, masks, styles, result."),
        click.option(
            "--explain-frames", type=PATH, help="Also draw the frames and tiles over the photo."
        ),
        click.option(
            "--check/--no-check",
            default=False,
            show_default=True,
            help="Measure how well the photo survives inversion: one more row per step.",
        ),
        click.option(
            "--cache/--no-cache",
            default=True,
            show_default=True,
            help="Keep inversions on disk for later runs, and use those kept.",
        ),
        rows_option,
        memory_option,
        dtype_option,
        device_option,
        config_option,
        click.option("-o", "--output", type=PATH, help="The picture to write."),
    ):
        command = option(command)
    return command


def sampling_options(command: _Command) -> _Command:
    """How an edit is denoised: a command's arguments `solver`, `steps`, `quick`, `accelerator`."""
    for option in (
        click.option(
            "--accelerator",
            metavar="FILE",
            help="A LoRA under which few steps suffice (LCM, Hyper-SD, Lightning, DMD2).",
        ),
        click.option("--quick", is_flag=True, help="A preview: few steps at a smaller size."),
        click.option(
            "--steps", type=int, help="The accelerator's or solver's own number if not given."
        ),
        click.option("--solver", help="dpm++2m, ddim or lcm; the fusion's own if not given."),
    ):
        command = option(command)
    return command


def fusion_options(
    option: str, long: str = "--option", name: str = "options"
) -> Callable[[_Command], _Command]:
    """`option` key=value, repeatable: a plugin's options, for the command's argument `name`."""
    return click.option(
        option, long, name, multiple=True, metavar="KEY=VALUE", help="A plugin's option."
    )


def read_options(given: tuple[str, ...], flag: str = "-O") -> dict[str, Any]:
    """key=value texts as a mapping, values read as YAML."""
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise RecipeError(f"{flag} {text!r}: give KEY=VALUE")
        if key in options:
            raise RecipeError(f"{flag} {text!r}: {key!r} is given twice")
        options[key] = from_yaml(value, f"{flag} {text!r}")
    return options


download_option = click.option(
    "--download", is_flag=True, help="Fetch a model from the hub that a picture's recipe names."
)


def print_json(data: Mapping[str, Any] | list[Any]) -> None:
    """Plain data on stdout."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
