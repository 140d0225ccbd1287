"""`locstyle stylize`: one edit from arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.options import StylizeCommand
from locstyle.cli.planning import print_plan, run_and_save
from locstyle.cli.regions import read_regions
from locstyle.cli.shared import (
    PATH,
    Running,
    fusion_options,
    read_options,
    running_options,
    sampling_options,
)
from locstyle.edit import Edit, Fusing, Segmenting
from locstyle.errors import RecipeError

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


def _number_or_word(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> float | str | None:
    """A number as one; words are looked at where the edit is made."""
    try:
        return None if given is None else float(given)
    except ValueError:
        return given


@click.command(cls=StylizeCommand)
@click.argument("photo", type=PATH)
@click.option(
    "-r",
    "--region",
    "regions",
    multiple=True,
    metavar="SELECTION=STYLE[@STRENGTH][:START-END]",
    help="sky.png, point:x,y, auto:3, text:the dog, box:x0,y0,x1,y1, rest, all, …, combined by "
    "+ - & ! and refined by |grow:4|feather:8; a style's file or name, a picture, or "
    "ENCODER:PICTURE, or several between commas, each for a part of the schedule if given; "
    "repeatable.",
)
@click.option("--prompt", default="", help="What the photo shows.")
@click.option(
    "--region-prompt",
    "region_prompts",
    multiple=True,
    metavar="N=TEXT",
    help="The prompt of the N-th region.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="N.KEY=VALUE",
    help="Of the N-th region: structure, guidance, negative, feather, ….",
)
@click.option("--negative", default="", help="What to stay away from.")
@click.option(
    "--prompts",
    type=click.Choice(["weighted", "plain"]),
    help="weighted, as if not given: (word:1.2), [word] and BREAK are marks, and long prompts go "
    "on in another window; plain: as they stand, in one.",
)
@click.option("--backbone", default="mini", show_default=True, help="A name, folder or file.")
@click.option(
    "--fusion",
    default="singlepass",
    show_default=True,
    help="See `locstyle plugins`; with --help as well, its options are shown.",
)
@click.option("--preset", help="A preset of the fusion.")
@fusion_options("-O")
@click.option(
    "--segmenter",
    default="classic",
    show_default=True,
    help="Who finds what regions ask for.",
)
@click.option("--segmenter-preset", help="A preset of the segmenter.")
@fusion_options("-S", "--segmenter-option", "segmenter_options")
@click.option("--segments", type=PATH, help="A list by `locstyle segment`, for auto:3.")
@sampling_options
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--detail",
    callback=_number_or_word,
    default="auto",
    show_default=True,
    help="Working pixels per photo pixel, or auto: as fine as the backbone draws well.",
)
@click.option("--size", type=int, help="One frame of the whole photo, about so many pixels a side.")
@click.option(
    "--grain",
    callback=_number_or_word,
    default="off",
    show_default=True,
    help="Match the fine scale around regions: off, auto, or a share of it.",
)
@click.option(
    "--palette",
    callback=_number_or_word,
    help="Whose colours: 0 the photo's own to 1 the style's, or drawn; "
    "each style's own choice if not given.",
)
@click.option("--feather", type=float, default=2.0, show_default=True, help="Pixels; denoising.")
@click.option(
    "--paste-feather", type=float, default=2.0, show_default=True, help="Pixels; pasting."
)
@click.option(
    "--refine-inversion",
    "inversion_refine",
    type=int,
    help="Refine each inversion step N times, one row each; the fusion's own if not given.",
    metavar="N",
)
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=VALUES",
    help="seed=1..4, 1.structure=0.2,0.4, style=swirl,neon, …: every combination, as one labelled "
    "grid; repeatable.",
)
@click.option("--each", metavar="PATTERN", help="With --vary, each picture as well: {seed}.png.")
@click.option("--dry-run", is_flag=True, help="Print the recipe and the plan, and stop.")
@running_options
@click.pass_obj
def stylize(
    host: Host,
    /,
    photo: str,
    regions: tuple[str, ...],
    region_prompts: tuple[str, ...],
    settings: tuple[str, ...],
    vary: tuple[str, ...],
    each: str | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Style regions of PHOTO and keep everything else."""
    running = Running(**{name: given.pop(name) for name in Running.__dataclass_fields__})
    fusing = Fusing(given.pop("fusion"), given.pop("preset"), read_options(given.pop("options")))
    segmenting = Segmenting(
        given.pop("segmenter"),
        given.pop("segmenter_preset"),
        read_options(given.pop("segmenter_options"), "-S"),
    )
    edit = Edit(
        photo,
        tuple(read_regions(regions, region_prompts, settings)),
        fusion=fusing,
        segmenter=segmenting,
        **given,
    )
    edit = running.configured(edit)
    if each and not vary:
        raise RecipeError("--each: names the pictures of --vary; give both, or -o alone")
    if vary:
        from locstyle.cli.vary import Varying, print_variations, vary_and_save

        act = print_variations if dry_run else vary_and_save
        act(host, edit, Varying(vary, each), running)
    elif dry_run:
        print_plan(host, edit, running)
    else:
        run_and_save(host, edit, running)
