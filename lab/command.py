"""`locstyle mini`: look at the world the embedded backbone knows, train it, measure it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from locstyle_plugins.mini import WEIGHTS

import locstyle as ls

if TYPE_CHECKING:
    from .training import Run

_Command = TypeVar("_Command", bound=Callable[..., Any])
_VAE_SHARE = 0.2  # of the minutes, when both parts are trained


def _learning(scenes: int) -> Callable[[_Command], _Command]:
    """The options of what learns beside mini, whose weights stay, with so many scenes as usual."""
    path = click.Path(path_type=Path)
    options = (
        click.option(
            "--minutes", type=float, required=True, help="Time for learning, over all calls."
        ),
        click.option(
            "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True
        ),
        click.option("--work", type=path, required=True, help="Data, checkpoints."),
        click.option("--out", type=path, required=True, help="Gets the weights."),
        click.option(
            "--scenes", default=scenes, show_default=True, help="How many scenes to render."
        ),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _run(minutes: float, work: Path, out: Path, device: str, scenes: int) -> Run:
    """A training of what learns beside mini, and its folders."""
    from .training import Run

    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    return Run(minutes, work, out, WEIGHTS, device, scenes)


@click.group()
def mini() -> None:
    """The embedded backbone: its world, its training, its scores."""


@mini.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="world.png")
@click.option("--seed", default=0, show_default=True, help="Which world.")
@click.option("--count", default=8, show_default=True, help="How many scenes, one a column.")
@click.option("--size", default=128, show_default=True, help="Side of a scene in pixels.")
def world(output: Path, seed: int, count: int, size: int) -> None:
    """Write a contact sheet: one scene a column, the photo and then every style."""
    import numpy as np
    from locstyle_plugins.world import STYLES, World

    scenes = [World(seed, size).scene(number) for number in range(count)]
    columns = [
        np.concatenate([scene.photo, *(scene.render(style) for style in STYLES)])
        for scene in scenes
    ]
    ls.Photo.from_image(np.concatenate(columns, 1)).save(output)
    for scene in scenes:
        click.echo(scene.prompt())


@mini.command()
@click.option("--minutes", type=float, required=True, help="Time for learning.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--part", type=click.Choice(["vae", "unet", "all"]), default="all", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Data, checkpoints.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Gets the weights.")
@click.option(
    "--init", type=click.Path(path_type=Path, exists=True), help="Start from this folder."
)
@click.option("--from-scratch", is_flag=True, help="Start from random weights.")
@click.option("--scenes", default=9000, show_default=True, help="How many scenes to render.")
def train(
    minutes: float,
    device: str,
    part: str,
    work: Path,
    out: Path,
    init: Path | None,
    from_scratch: bool,
    scenes: int,
) -> None:
    """Train the backbone, from the shipped weights unless told otherwise.

    An interrupted training goes on when called again with the same work folder.
    """
    from dataclasses import replace

    from .train_unet import train_unet
    from .train_vae import train_autoencoder
    from .training import Run

    start = None if from_scratch else init or (WEIGHTS if WEIGHTS.exists() else None)
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    run = Run(minutes, work, out, start, device, scenes)
    share = {"vae": 1.0, "unet": 0.0, "all": _VAE_SHARE}[part]
    if part != "unet" and not (work / "unet-state.safetensors").exists():
        train_autoencoder(replace(run, minutes=minutes * share))
    if part != "vae":
        train_unet(replace(run, minutes=minutes * (1 - share)))


@mini.command("train-fastsam")
@click.option("--minutes", type=float, required=True, help="Time for learning.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Data, checkpoints.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Gets the weights.")
@click.option("--scenes", default=1800, show_default=True, help="How many scenes to render.")
@click.option("--finish", is_flag=True, help="The last minutes: whole scenes, a falling rate.")
def fastsam(minutes: float, device: str, work: Path, out: Path, scenes: int, finish: bool) -> None:
    """Train the small FastSAM on the world, with ultralytics (extra `fastsam`, AGPL-3.0).

    Called again with the same work folder, it starts from the last checkpoint there.
    """
    from .train_fastsam import train_fastsam

    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    train_fastsam(work, out, minutes=minutes, scenes=scenes, device=device, finish=finish)


@mini.command("train-qformer")
@_learning(scenes=600)
@click.option("--batch", default=1.0, show_default=True, help="Times the batch; 8 suits a GPU.")
@click.option("--only-reconstruction", is_flag=True, help="Without pairs, to compare.")
def qformer(batch: float, only_reconstruction: bool, **given: Any) -> None:
    """Train DEADiff's Q-Formers on pairs of the world; mini itself stays as it is.

    A training that was stopped goes on when called again with the same work folder.
    """
    from dataclasses import replace

    from .train_qformer import STAGES, TASKS, train_qformer

    stages = [replace(stage, batch=max(3, round(batch * stage.batch))) for stage in STAGES]
    train_qformer(_run(**given), stages=stages, tasks=("both",) if only_reconstruction else TASKS)


@mini.command()
@_learning(scenes=200)
@click.option("--steps", default=4, show_default=True, help="Of edits under it.")
@click.option("--rank", default=15, show_default=True, help="Of each layer's update.")
def distil(steps: int, rank: int, **given: Any) -> None:
    """Distil an accelerator: a LoRA under which few steps do what many did.

    A training that was stopped goes on when called again with the same work folder.
    """
    from .distil import Distilling
    from .distil import distil as train_accelerator

    train_accelerator(_run(**given), Distilling(steps=steps, rank=rank))


@mini.command()
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=WEIGHTS)
@click.option("--photos", type=click.Path(path_type=Path, exists=True), help="A folder of photos.")
def scores(weights: Path, photos: Path | None) -> None:
    """Measure reconstruction, inversion and held-out loss of a weights folder."""
    import json

    from .quality import measure

    click.echo(json.dumps(measure(weights, photos), indent=2))


@mini.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="samples.png")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=WEIGHTS)
@click.option("--count", default=10, show_default=True, help="How many captions, one a column.")
@click.option("--guidance", default=5.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
def samples(output: Path, weights: Path, count: int, guidance: float, seed: int) -> None:
    """Paint captions of scenes never trained on; above each picture the scene it describes."""
    import numpy as np

    from .quality import caption_sheet

    prompts, rows = caption_sheet(weights, count, guidance=guidance, seed=seed)
    ls.Photo.from_image(np.concatenate([np.concatenate(list(row), 1) for row in rows])).save(output)
    for prompt in prompts:
        click.echo(prompt)


@mini.command()
@click.argument("weights", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), default="separates.png")
@click.option("--steps", default=25, show_default=True)
@click.option("--guidance", default=3.0, show_default=True)
def separates(weights: Path, output: Path, steps: int, guidance: float) -> None:
    """Paint words in the styles of pictures, all held out, with a Q-Former's WEIGHTS.

    The sheet has the pictures on top and one row for each prompt, words alone on the left.
    """

    from .separation import measure

    painted = measure(weights, WEIGHTS, steps=steps, guidance=guidance)
    ls.Photo.from_image(painted.sheet).save(output)
    for prompt in painted.prompts:
        click.echo(prompt)
    click.echo(f"in the picture's style: {painted.style:.2f} (by chance 0.20)")
    click.echo(
        f"as their words say: {painted.words:.2f}, without a style {painted.plain_words:.2f}"
    )


if __name__ == "__main__":
    mini()
