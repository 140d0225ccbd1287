"""`locstyle convert`: a published checkpoint as one safetensors file that the encoder reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor

    from .official import Keys


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--family", default="sd1", show_default=True, help="The backbone it was made for.")
@click.option("--allow-ckpt", is_flag=True, help="Read a pickle, as weights and nothing else.")
def convert(checkpoint: Path, output: Path, family: str, allow_ckpt: bool) -> None:
    """Write a DEADiff checkpoint in the published layout as weights for `qformer`.

    Says which keys were used, which were not, and which were missing.
    """
    from .official import read
    from .trained import Trained

    official = read(_state(checkpoint, allow_ckpt))
    for line in describe(official.keys):
        click.echo(line, err=True)
    if official.keys.missing:
        raise ls.StyleError(
            f"{checkpoint.name}: {len(official.keys.missing)} weights are missing, the first is "
            f"{official.keys.missing[0]!r}; nothing was written"
        )
    meta = {"converted_from": checkpoint.name}
    trained = Trained(official.network, family, meta, towers=official.towers)
    trained.save(output)


def describe(keys: Keys) -> list[str]:
    """What became of the keys, a few lines."""
    lines = [
        f"used {len(keys.used)} keys; left {len(keys.unused)}, of the backbone and of training, "
        f"or unknown: {len(keys.strange)}"
    ]
    lines += [f"unknown: {key}" for key in keys.strange]
    lines += [f"missing: {name}" for name in keys.missing]
    return lines


def _state(checkpoint: Path, allow_ckpt: bool) -> dict[str, Tensor]:
    """The weights by name."""
    if checkpoint.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(checkpoint))
        except SafetensorError as error:
            raise ls.StyleError(f"{checkpoint.name}: could not be read: {error}") from error
    if not allow_ckpt:
        raise ls.StyleError(
            f"{checkpoint.name}: is a pickle, which can run code when read; --allow-ckpt reads it "
            "with torch's weights-only loader, which takes tensors and refuses the rest"
        )
    from .pickled import read_pickle

    return dict(read_pickle(checkpoint))
