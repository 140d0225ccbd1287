"""`locstyle train`: a style file from pictures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from locstyle.cli.options import TrainCommand
from locstyle.cli.shared import (
    PATH,
    config_option,
    device_option,
    fusion_options,
    json_option,
    print_json,
    read_options,
)
from locstyle.edit import checks
from locstyle.files import check_output, style_pictures

if TYPE_CHECKING:
    from locstyle.plugin.host import Host
    from locstyle.plugin.protocols import StyleEncoder, StyleRequest
    from locstyle.style import Style


def _palette(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """As the file's header keeps it."""
    if not given:
        return ""
    return str(checks.palette(given if given == "drawn" else _number(given), "--palette"))


def _number(given: str) -> float | str:
    try:
        return float(given)
    except ValueError:
        return given


@click.command(cls=TrainCommand)
@click.argument("encoder")
@click.argument("images", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The .safetensors file to write.")
@click.option("--prompt", default="", help="The words the style will answer to.")
@click.option("--name", help="The style's name; the file's if not given.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option("--licence", default="", help="Of the pictures, for the file's header.")
@click.option(
    "--palette",
    default="",
    callback=_palette,
    help="Whose colours edits take if they do not say: 0 the photo's own to 1 the style's.",
)
@click.option("--backbone", default="mini", show_default=True, help="A name, folder or file.")
@click.option("--preset", help="A preset of the encoder.")
@fusion_options("-O")
@device_option
@config_option
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    /,
    encoder: str,
    images: tuple[Path, ...],
    output: Path,
    preset: str | None,
    options: tuple[str, ...],
    as_json: bool,
    **given: str | int | None,
) -> None:
    """Learn a style from IMAGES with an ENCODER.

    Several pictures, or a folder of them, are learned as one style; give works by one hand.
    `locstyle plugins` lists them, and `locstyle train ENCODER --help` shows what options one takes.
    A training that was stopped goes on from OUTPUT's `.resume` file
    when the same command is given again.
    """
    host: Host = ctx.obj
    images = style_pictures(images)
    check_output(output, images, suffixes=(".safetensors",))
    maker = host.style_encoder(encoder, read_options(options), preset=preset)
    backbone, device = str(given.pop("backbone")), str(given.pop("device"))
    config = given.pop("backbone_config")
    request = _request(ctx, output, given)
    with _finished(output.with_suffix(".resume")):
        place = backbone, device, None if config is None else str(config)
        style = _encode(host, (encoder, maker), images, request, place)
        style.save(output)
    if as_json:
        print_json(_facts(style, output))
    else:
        click.echo(f"{style!r}", err=True)
        click.echo(output)


@contextmanager
def _finished(bookmark: Path) -> Iterator[None]:
    """Removes the bookmark that the block took up or kept; any other file of that name stays."""
    from locstyle.bookmark import stamp

    before = stamp(bookmark)
    yield
    if stamp(bookmark) not in (None, before):
        bookmark.unlink()


def _request(
    ctx: click.Context, output: Path, given: Mapping[str, str | int | None]
) -> StyleRequest:
    from locstyle.plugin.protocols import StyleRequest

    return StyleRequest(
        name=str(given["name"] or output.stem),
        prompt=str(given["prompt"]),
        seed=int(given["seed"] or 0),
        licence=str(given["licence"]),
        palette=str(given["palette"]),
        made_by=_command_line(ctx),
        resume=output.with_suffix(".resume"),
    )


def _encode(
    host: Host,
    encoder: tuple[str, StyleEncoder],
    images: tuple[Path, ...],
    request: StyleRequest,
    place: tuple[str, str, str | None],
) -> Style:
    """The style, learned in full precision whatever the device, with progress on stderr."""
    import torch

    from locstyle.cli.progress import progress
    from locstyle.editor import Editor
    from locstyle.job.learn import learn_style
    from locstyle.photo import Photo

    pictures = [Photo.open(path) for path in images]
    backbone, device, config = place
    model = Editor.load(
        backbone, device=device, dtype=torch.float32, host=host, config=config
    ).backbone
    with progress() as on_step:
        return learn_style(encoder, pictures, model, request, host=host, on_step=on_step)


def _command_line(ctx: click.Context) -> str:
    """What was typed, as the style's header keeps it; pictures by name, without their folders."""
    words = ["locstyle", "train"]
    for parameter in ctx.command.params:
        name = str(parameter.name)
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        if isinstance(parameter, click.Option) and parameter.is_flag:
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
            continue
        values = value if isinstance(value, tuple) else (value,)
        for one in values:
            flag = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
            words += [*flag, (isinstance(one, Path) and one.name) or str(one)]
    return shlex.join(words)


def _facts(style: Style, output: Path) -> dict[str, object]:
    return {
        "output": str(output),
        "name": style.name,
        "family": style.family,
        "trigger": style.trigger,
        "rank": style.rank,
        "sites": len(style.deltas),
        "digest": style.digest,
        "meta": {key: value for key, value in style.meta.items() if key != "preview"},
    }
