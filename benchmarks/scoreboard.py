"""How good is an edit? Figures, a table and a contact sheet.

    python benchmarks/scoreboard.py world --out OUT [--scenes 4]
    python benchmarks/scoreboard.py deer --photo P --mask M --mask M --style S --style S --out OUT

`world` asks it of scenes whose truth is known: two regions of each in two styles that the backbone
has never seen. Yardsticks are the photo as it is, the photo recoloured towards the truth, the two
styles swapped, the truth drawn anew with other strokes, and the truth through the autoencoder,
which no edit on this backbone can pass. `deer` asks it of a real photo without a truth, after
learning a style from each style picture. Writes OUT/scoreboard.json, OUT/sheet.png and every edited
picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import known_truth
import real_photo
import yaml
from board import Board

import locstyle as ls

FUSIONS = ("diffstyler", "singlepass")


def main() -> None:
    wanted = arguments()
    wanted.out.mkdir(parents=True, exist_ok=True)
    editor = ls.Editor.load(wanted.backbone, device=wanted.device)
    settings = {key: str(value) for key, value in vars(wanted).items() if key != "run"}
    board = Board(wanted.out, settings | {"digest": editor.backbone.digest})
    board.finish(wanted.run(board, editor, wanted))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    world = commands.add_parser("world", help="scenes whose truth is known")
    world.add_argument("--scenes", type=int, default=4)
    world.add_argument("--loras", type=Path, help="their folder; default: the shipped ones")
    world.set_defaults(run=known_truth.run)
    deer = commands.add_parser("deer", help="a real photo")
    deer.add_argument("--photo", type=Path, required=True)
    deer.add_argument("--mask", type=Path, action="append", required=True)
    deer.add_argument("--style", type=Path, action="append", required=True, help="a picture")
    deer.add_argument("--caption", action="append", help="what each style picture shows")
    deer.add_argument("--prompt", default="", help="what the photo shows")
    deer.add_argument("--size", type=int, help="longer side while denoising; default: the native")
    deer.add_argument("--loras", type=Path, help="where LoRAs are and missing ones go; default OUT")
    deer.add_argument("--encoder", type=pair, action="append", default=[], metavar="KEY=VALUE")
    deer.set_defaults(run=real_photo.run)
    for command in (world, deer):
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--backbone", default="mini", help="mini, or a diffusers folder")
        command.add_argument("--device", default="cpu")
        command.add_argument("--steps", type=int, default=50)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument(
            "--fusion",
            action="append",
            help=f"default: {', '.join(FUSIONS)}; none: yardsticks only",
        )
        command.add_argument("--option", type=pair, action="append", default=[], help="of fusions")
    wanted = parser.parse_args()
    fusions = wanted.fusion or FUSIONS
    wanted.fusion, wanted.options = [f for f in fusions if f != "none"], dict(wanted.option)
    if wanted.run is real_photo.run:
        wanted.loras = wanted.loras or wanted.out
    return wanted


def pair(text: str) -> tuple[str, object]:
    """KEY=VALUE, the value as YAML has it."""
    key, _, value = text.partition("=")
    return key, yaml.safe_load(value)


if __name__ == "__main__":
    main()
